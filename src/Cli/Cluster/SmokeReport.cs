using System.Globalization;
using System.Text.Json;

namespace OrleansMemory.Cli.Cluster;

/// <summary>What a smoke test found.</summary>
/// <param name="Acknowledged">Memories whose store was answered 201, the sample set included.</param>
/// <param name="Present">Memories that each node lists.</param>
/// <param name="Lost">Acknowledged memories that a node lacks or holds otherwise.</param>
/// <param name="Converged">From the last answer until all nodes had one digest; null when they never had.</param>
/// <param name="Digests">Of each node, over all replicated rows.</param>
/// <param name="Retries">Stores that were sent again, to any node, under their key.</param>
/// <param name="Recalled">Known facts that a recall found.</param>
/// <param name="Problems">Everything that is off; empty when the test passed.</param>
internal sealed record SmokeReport(
    long Acknowledged,
    IReadOnlyList<long> Present,
    long Lost,
    TimeSpan? Converged,
    IReadOnlyList<string> Digests,
    long Retries,
    int Recalled,
    int Facts,
    TimeSpan Elapsed,
    IReadOnlyList<string> Problems)
{
    public string Summary => string.Create(
        CultureInfo.InvariantCulture,
        $"acked={Acknowledged} present={string.Join(',', Present)} lost={Lost} converged_ms={(Converged is { } time ? ((long)time.TotalMilliseconds).ToString(CultureInfo.InvariantCulture) : "never")}");

    public void WriteJson(Utf8JsonWriter writer)
    {
        writer.WriteStartObject();
        writer.WriteNumber("acked", Acknowledged);
        writer.WriteStartArray("present");
        foreach (var count in Present)
        {
            writer.WriteNumberValue(count);
        }

        writer.WriteEndArray();
        writer.WriteNumber("lost", Lost);
        if (Converged is { } converged)
        {
            writer.WriteNumber("converged_ms", (long)converged.TotalMilliseconds);
        }
        else
        {
            writer.WriteNull("converged_ms");
        }

        writer.WriteStartArray("digests");
        foreach (var digest in Digests)
        {
            writer.WriteStringValue(digest);
        }

        writer.WriteEndArray();
        writer.WriteNumber("retries", Retries);
        writer.WriteNumber("recalled", Recalled);
        writer.WriteNumber("facts", Facts);
        writer.WriteNumber("seconds", Math.Round(Elapsed.TotalSeconds, 1));
        writer.WriteStartArray("problems");
        foreach (var problem in Problems)
        {
            writer.WriteStringValue(problem);
        }

        writer.WriteEndArray();
        writer.WriteEndObject();
    }
}
