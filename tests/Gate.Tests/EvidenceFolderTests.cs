using System.IO.Compression;
using OrleansMemory.Gate.Evidence;
using OrleansMemory.Gate.Tests.Nodes;

namespace OrleansMemory.Gate.Tests;

public sealed class EvidenceFolderTests : IDisposable
{
    private readonly ScratchFolder _scratch = new();

    [Theory]
    [InlineData(0)]
    [InlineData(EvidenceFolder.LongestLog)]
    public void A_log_is_kept_whole(int length)
    {
        var log = new string('l', length);
        Assert.Equal(log, Kept(log));
    }

    [Fact]
    public void Of_a_log_without_end_both_ends_are_kept_and_what_is_missing_is_said()
    {
        var half = EvidenceFolder.LongestLog / 2;
        var kept = Kept(new string('a', half) + new string('b', 12_345) + new string('c', half));
        Assert.Equal(new string('a', half) + "\n[12345 bytes are left out here]\n" + new string('c', half), kept);
    }

    public void Dispose() => _scratch.Dispose();

    private string Kept(string log)
    {
        var nodes = Directory.CreateDirectory(Path.Combine(_scratch.Path, "nodes"));
        File.WriteAllText(Path.Combine(nodes.FullName, "n1.log"), log);
        var evidence = EvidenceFolder.Create(Path.Combine(_scratch.Path, "run"));
        evidence.KeepLogs(nodes.FullName, "phase4-kill");
        using var compressed = new BrotliStream(File.OpenRead(evidence.Combine("logs/phase4-kill-n1.log.br")), CompressionMode.Decompress);
        using var reader = new StreamReader(compressed);
        return reader.ReadToEnd();
    }
}
