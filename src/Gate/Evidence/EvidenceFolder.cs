using System.Globalization;
using System.IO.Compression;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using OrleansMemory.Gate.Campaigns;
using OrleansMemory.Gate.Ledgers;

namespace OrleansMemory.Gate.Evidence;

/// <summary>The folder of one campaign. What is under <c>raw</c> and <c>ledgers</c> was seen; the rest was made of that.</summary>
internal sealed class EvidenceFolder(string path)
{
    public const string PlanName = "campaign.json";
    public const string SummaryName = "campaign-summary.json";
    public const string ManifestName = "manifest.json";
    public const string PageName = "index.html";
    public const string InsightsName = "insights.json";
    public const string LogsFolder = "logs";
    public const string CanariesFolder = "canaries";

    /// <summary>What is kept of a longer log, half of it from each end: a node that cries without end must not fill the evidence.</summary>
    internal const int LongestLog = 1 << 20;

    private const string RawFolder = "raw";
    private const string LedgersFolder = "ledgers";

    public string Path => path;

    public static string RawPath(int phase) => $"{RawFolder}/{Declaration.PhaseName(phase)}.json";

    public static string LedgerPath(string name) => $"{LedgersFolder}/{name}.jsonl.br";

    /// <exception cref="GateException">There is something already.</exception>
    public static EvidenceFolder Create(string path)
    {
        if (Directory.Exists(path) && Directory.EnumerateFileSystemEntries(path).Any())
        {
            throw new GateException($"{path} is not empty: name another folder with --out");
        }

        foreach (var folder in (string[])[RawFolder, LedgersFolder, LogsFolder])
        {
            Directory.CreateDirectory(System.IO.Path.Combine(path, folder));
        }

        return new(path);
    }

    /// <exception cref="GateException">It holds no campaign.</exception>
    public static EvidenceFolder Open(string path) =>
        File.Exists(System.IO.Path.Combine(path, PlanName)) ? new(path) : throw new GateException($"{path} holds no campaign: it has no {PlanName}");

    public string Combine(string name) => System.IO.Path.Combine(path, name);

    public bool Exists(string name) => File.Exists(Combine(name));

    public bool HasLedger(string name) => Exists(LedgerPath(name));

    public EvidenceFolder Canary(string name) => new(Combine($"{CanariesFolder}/{name}"));

    /// <exception cref="InvalidDataException">It is missing, empty or not what it should be.</exception>
    public T Read<T>(string name)
    {
        try
        {
            return JsonSerializer.Deserialize<T>(File.ReadAllText(Combine(name)), GateJson.Documents) ?? throw new JsonException("it is null");
        }
        catch (Exception exception) when (exception is JsonException or IOException or NotSupportedException)
        {
            throw new InvalidDataException($"{name} cannot be read: {exception.Message}", exception);
        }
    }

    /// <exception cref="InvalidDataException">It is not what it should be.</exception>
    public static T Parse<T>(JsonNode node, int phase)
    {
        try
        {
            return node.Deserialize<T>(GateJson.Documents) ?? throw new JsonException("it is null");
        }
        catch (Exception exception) when (exception is JsonException or NotSupportedException)
        {
            throw new InvalidDataException($"{RawPath(phase)} cannot be read: {exception.Message}", exception);
        }
    }

    /// <exception cref="InvalidDataException">It is missing, empty or damaged.</exception>
    public IReadOnlyList<LedgerLine> ReadLedger(string name)
    {
        if (!HasLedger(name))
        {
            throw new InvalidDataException($"{LedgerPath(name)} is missing");
        }

        var lines = LedgerFile.Read(Combine(LedgerPath(name)));
        return lines.Count > 0 ? lines : throw new InvalidDataException($"{LedgerPath(name)} is empty");
    }

    public Task WriteLedgerAsync(string name, IEnumerable<LedgerLine> lines) => LedgerFile.WriteAsync(Combine(LedgerPath(name)), lines);

    /// <summary>
    /// Keeps the logs of the nodes whose folder it is, compressed; nothing when there is no such folder. What is left out of a log
    /// that is longer than <see cref="LongestLog"/> bytes is said at its place.
    /// </summary>
    /// <param name="folder">Of the nodes.</param>
    /// <param name="prefix">Of the names that they get here.</param>
    public void KeepLogs(string folder, string prefix)
    {
        foreach (var log in Directory.Exists(folder) ? Directory.GetFiles(folder, "*.log") : [])
        {
            using var plain = File.OpenRead(log);
            using var kept = File.Create(Combine($"{LogsFolder}/{prefix}-{System.IO.Path.GetFileName(log)}.br"));
            using var compressed = new BrotliStream(kept, CompressionLevel.Optimal);
            if (plain.Length - LongestLog is > 0 and var leftOut)
            {
                var head = new byte[LongestLog / 2];
                plain.ReadExactly(head);
                compressed.Write(head);
                compressed.Write(Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"\n[{leftOut} bytes are left out here]\n")));
                plain.Seek(-LongestLog / 2, SeekOrigin.End);
            }

            plain.CopyTo(compressed);
        }
    }

    public void Write<T>(string name, T document) => WriteText(name, JsonSerializer.Serialize(document, GateJson.Documents) + "\n");

    /// <summary>Whole or not at all, also when the process dies.</summary>
    public void WriteText(string name, string text)
    {
        var target = Combine(name);
        Directory.CreateDirectory(System.IO.Path.GetDirectoryName(target)!);
        File.WriteAllText(target + ".part", text);
        File.Move(target + ".part", target, overwrite: true);
    }
}
