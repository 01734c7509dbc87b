using System.IO.Compression;
using System.Text;
using System.Text.Json;
using OrleansMemory.Gate.Evidence;

namespace OrleansMemory.Gate.Ledgers;

/// <summary>A ledger on disk: a line of JSON for each record, compressed by Brotli (<c>brotli -dc</c> shows it).</summary>
internal static class LedgerFile
{
    /// <summary>The most there is: ledgers are kept for as long as a release is, and a third smaller so than by the quality that is usual.</summary>
    private static readonly BrotliCompressionOptions Compression = new() { Quality = 11 };

    public static async Task WriteAsync(string path, IEnumerable<LedgerLine> lines)
    {
        await using var file = File.Create(path);
        await using var compressed = new BrotliStream(file, Compression);
        foreach (var line in lines)
        {
            await JsonSerializer.SerializeAsync(compressed, line, GateJson.Lines);
            compressed.WriteByte((byte)'\n');
        }
    }

    /// <exception cref="InvalidDataException">It cannot be read to its end; the text names the line.</exception>
    public static List<LedgerLine> Read(string path)
    {
        var lines = new List<LedgerLine>();
        try
        {
            using var file = File.OpenRead(path);
            using var plain = new StreamReader(new BrotliStream(file, CompressionMode.Decompress), new UTF8Encoding(false, throwOnInvalidBytes: true));
            while (plain.ReadLine() is { } line)
            {
                lines.Add(JsonSerializer.Deserialize<LedgerLine>(line, GateJson.Lines) ?? throw new JsonException("null"));
            }
        }
        catch (Exception exception) when (exception is JsonException or NotSupportedException or InvalidDataException or InvalidOperationException or DecoderFallbackException)
        {
            throw new InvalidDataException($"{Path.GetFileName(path)}, line {lines.Count + 1}: {exception.Message}", exception);
        }

        return lines;
    }
}
