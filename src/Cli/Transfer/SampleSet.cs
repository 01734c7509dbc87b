using OrleansMemory.Cli.Output;
using OrleansMemory.Core;

namespace OrleansMemory.Cli.Transfer;

/// <summary>The memories of a made-up firm that come with the program, for a first look, and questions that they answer.</summary>
internal static class SampleSet
{
    /// <summary>Who brings them in.</summary>
    public const string AgentId = "system:sample";

    public static Stream Open() =>
        typeof(SampleSet).Assembly.GetManifestResourceStream("samples/memories.json") ?? throw new InvalidOperationException("the sample set is not in the program");

    public static async Task<ImportSummary> ImportAsync(IMemoryService service)
    {
        await using var sample = Open();
        return await new Importer(service, AgentId, trustSource: true, Report.Silent()).RunAsync(sample);
    }
}
