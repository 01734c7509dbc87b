using System.Globalization;
using System.Text.Json;

namespace OrleansMemory.Cli.Bench;

/// <param name="Latencies">Milliseconds of each recall, ascending.</param>
/// <param name="Mode">How the recalls found their memories.</param>
internal sealed record LocomoReport(
    int Conversations, int Memories, RecallTally Ours, RecallTally Plain, IReadOnlyList<double> Latencies, string Mode, string Store, Machine Machine)
{
    public void WriteJson(Utf8JsonWriter writer)
    {
        writer.WriteStartObject();
        writer.WriteString("bench", "locomo");
        writer.WriteString("store", Store);
        writer.WriteString("mode", Mode);
        writer.WriteNumber("conversations", Conversations);
        writer.WriteNumber("memories", Memories);
        writer.WriteNumber("questions", Ours.Overall.Questions);
        Ours.WriteJson(writer);
        writer.WriteStartObject("plain_bm25");
        Plain.WriteJson(writer);
        writer.WriteEndObject();
        writer.WriteStartObject("latency_ms");
        writer.WriteNumber("p50", Math.Round(Percentile(0.5), 3));
        writer.WriteNumber("p95", Math.Round(Percentile(0.95), 3));
        writer.WriteEndObject();
        writer.WriteString("commit", Machine.Commit);
        writer.WriteEndObject();
    }

    public void WriteText(TextWriter text)
    {
        var culture = CultureInfo.InvariantCulture;
        text.WriteLine(string.Create(culture, $"locomo: {Conversations} conversations, {Memories} memories, {Ours.Overall.Questions} questions, {Store}, {Mode}"));
        text.WriteLine($"  {"",-22}{string.Concat(RecallTally.Cuts.Select(static cut => $"{$"any@{cut}",8}"))}{string.Concat(RecallTally.Cuts.Select(static cut => $"{$"all@{cut}",8}"))}");
        Write("all", Ours.Overall, Plain.Overall);
        foreach (var (category, count) in Ours.ByCategory)
        {
            Write($"category {category}", count, Plain.ByCategory[category]);
        }

        text.WriteLine(string.Create(culture, $"  recall p50 {Percentile(0.5):0.00} ms, p95 {Percentile(0.95):0.00} ms"));
        text.WriteLine(string.Create(culture, $"  {Machine.Cpu}, {Machine.Cores} cores, {Machine.MemoryBytes / 1073741824.0:0.0} GiB, {Machine.Runtime}"));
        text.WriteLine($"  {Invocation.Version} {Machine.Commit ?? "(unknown commit)"}");

        void Write(string name, RecallTally.Count ours, RecallTally.Count plain)
        {
            text.WriteLine(Line($"{name} ({ours.Questions})", ours));
            text.WriteLine(Line("  plain BM25", plain));
        }

        string Line(string name, RecallTally.Count count) =>
            $"  {name,-22}{string.Concat(RecallTally.Cuts.Select((_, cut) => string.Create(culture, $"{count.Any(cut),8:0.000}")))}{string.Concat(RecallTally.Cuts.Select((_, cut) => string.Create(culture, $"{count.All(cut),8:0.000}")))}";
    }

    private double Percentile(double share) => Latencies.Count == 0 ? 0 : Latencies[Math.Min((int)(Latencies.Count * share), Latencies.Count - 1)];
}
