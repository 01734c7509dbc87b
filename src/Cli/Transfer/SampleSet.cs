using System.Diagnostics;
using OrleansMemory.Cli.Output;
using OrleansMemory.Core;

namespace OrleansMemory.Cli.Transfer;

/// <summary>The memories of a made-up firm that come with the program, for a first look, and questions that they answer.</summary>
internal static class SampleSet
{
    /// <summary>Who brings them in.</summary>
    public const string AgentId = "system:sample";

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(500);

    public static Stream Open() =>
        typeof(SampleSet).Assembly.GetManifestResourceStream("samples/memories.json") ?? throw new InvalidOperationException("the sample set is not in the program");

    /// <summary>
    /// Brings them in, again for up to half a minute while some are refused: nodes that have just started may be too slow for their first
    /// writes. What is there already stays as it is.
    /// </summary>
    public static async Task<ImportSummary> ImportAsync(IMemoryService service, CancellationToken cancellation = default)
    {
        for (var began = Stopwatch.GetTimestamp(); ;)
        {
            await using var sample = Open();
            var summary = await new Importer(service, AgentId, trustSource: true, Report.Silent()).RunAsync(sample);
            if (summary.Errors.Count == 0 || Stopwatch.GetElapsedTime(began) >= Patience)
            {
                return summary;
            }

            await Task.Delay(Pause, cancellation);
        }
    }
}
