namespace OrleansMemory.Cli.Transfer;

/// <summary>The memories of a made-up firm that come with the program, for a first look.</summary>
internal static class SampleSet
{
    public static Stream Open() =>
        typeof(SampleSet).Assembly.GetManifestResourceStream("samples/memories.json") ?? throw new InvalidOperationException("the sample set is not in the program");
}
