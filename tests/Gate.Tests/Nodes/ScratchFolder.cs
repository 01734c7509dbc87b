namespace OrleansMemory.Gate.Tests.Nodes;

/// <summary>A folder that goes with the test.</summary>
internal sealed class ScratchFolder : IDisposable
{
    public string Path { get; } = Directory.CreateTempSubdirectory("om-gate-").FullName;

    public void Dispose() => Directory.Delete(Path, recursive: true);
}
