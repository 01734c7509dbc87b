using System.Globalization;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Cli.Output;

/// <summary>Memories as lines for people.</summary>
internal static class Rows
{
    private const int BarCells = 10;
    private const int PreviewCharacters = 200;

    /// <summary><c>[mid/8f0c2d1e] Deploy window (p=5, ns=ops, 3h ago)</c></summary>
    public static void WriteRow(TextWriter writer, Memory memory, Timestamp now) => writer.WriteLine(
        $"[{memory.Tier.Name()}/{Short(memory.Id)}] {memory.Title} (p={memory.Priority}, ns={memory.Namespace}, {Age(memory.UpdatedAt, now)})");

    /// <summary>A hit of recall: head line with a bar that shows the score against the best one, preview, blank line.</summary>
    public static void WriteHit(Report report, Memory memory, double score, double best, Timestamp now)
    {
        var filled = best <= 0 ? 0 : (int)Math.Clamp(Math.Round(score / best * BarCells), 0, BarCells);
        var bar = new string('█', filled) + new string('░', BarCells - filled);
        var confidence = memory.Confidence < 1.0 ? string.Create(CultureInfo.InvariantCulture, $" conf={memory.Confidence * 100:0}%") : "";
        var tier = Paint(report, memory.Tier switch { Tier.Short => "31", Tier.Mid => "33", _ => "32" }, memory.Tier.Name());
        var details = string.Create(
            CultureInfo.InvariantCulture,
            $"score={score:0.00} (ns={memory.Namespace}, {memory.AccessCount}x, {Age(memory.UpdatedAt, now)}{confidence})");
        report.Text.WriteLine($"[{tier}/{Short(memory.Id)}] {Paint(report, "1", memory.Title)} {Paint(report, "36", bar)} {Paint(report, "2", details)}");
        report.Text.WriteLine($"  {Preview(memory.Content)}");
        report.Text.WriteLine();
    }

    public static string Short(string id) => id.Length <= 8 ? id : id[..8];

    public static string Age(Timestamp instant, Timestamp now)
    {
        var seconds = (long)Math.Max(0, now.SecondsSince(instant));
        return seconds switch
        {
            < 60 => "just now",
            < 3_600 => $"{seconds / 60}m ago",
            < 86_400 => $"{seconds / 3_600}h ago",
            < 30 * 86_400 => $"{seconds / 86_400}d ago",
            _ => $"{seconds / (30 * 86_400)}mo ago",
        };
    }

    private static string Preview(string content)
    {
        var shown = 0;
        var length = 0;
        foreach (var rune in content.EnumerateRunes())
        {
            if (shown++ == PreviewCharacters)
            {
                break;
            }

            length += rune.Utf16SequenceLength;
        }

        return content[..length];
    }

    private static string Paint(Report report, string code, string text) => report.Colour ? $"\e[{code}m{text}\e[0m" : text;
}
