using System.Globalization;
using System.Text.Json;

namespace OrleansMemory.Cli.Bench;

/// <summary>Of how many questions any, and all, of the evidence is among the first k; by category and by conversation.</summary>
internal sealed class RecallTally
{
    /// <summary>The deepest place that is looked at.</summary>
    public const int Depth = 20;

    public static readonly IReadOnlyList<int> Cuts = [1, 5, 10, Depth];

    private readonly SortedDictionary<string, Count> _byCategory = new(StringComparer.Ordinal);
    private readonly SortedDictionary<string, Count> _byConversation = new(StringComparer.Ordinal);

    public Count Overall { get; } = new();

    public IReadOnlyDictionary<string, Count> ByCategory => _byCategory;

    public void Add(string conversation, LocomoQuestion question, IReadOnlyList<string> found)
    {
        Overall.Add(question, found);
        Of(_byCategory, question.Category.ToString(CultureInfo.InvariantCulture)).Add(question, found);
        Of(_byConversation, conversation).Add(question, found);
    }

    public void WriteJson(Utf8JsonWriter writer)
    {
        writer.WriteStartObject("overall");
        Overall.WriteJson(writer);
        writer.WriteEndObject();
        WriteJson(writer, "by_category", _byCategory);
        WriteJson(writer, "by_conversation", _byConversation);
    }

    private static void WriteJson(Utf8JsonWriter writer, string name, SortedDictionary<string, Count> counts)
    {
        writer.WriteStartObject(name);
        foreach (var (key, count) in counts)
        {
            writer.WriteStartObject(key);
            count.WriteJson(writer);
            writer.WriteEndObject();
        }

        writer.WriteEndObject();
    }

    private static Count Of(SortedDictionary<string, Count> counts, string key)
    {
        if (!counts.TryGetValue(key, out var count))
        {
            counts.Add(key, count = new());
        }

        return count;
    }

    internal sealed class Count
    {
        private readonly int[] _any = new int[Cuts.Count];
        private readonly int[] _all = new int[Cuts.Count];

        public int Questions { get; private set; }

        public double Any(int cut) => Share(_any[cut]);

        public double All(int cut) => Share(_all[cut]);

        public void Add(LocomoQuestion question, IReadOnlyList<string> found)
        {
            Questions++;
            for (var cut = 0; cut < Cuts.Count; cut++)
            {
                var held = found.Take(Cuts[cut]).Count(question.Evidence.Contains);
                _any[cut] += held > 0 ? 1 : 0;
                _all[cut] += held == question.Evidence.Count ? 1 : 0;
            }
        }

        public void WriteJson(Utf8JsonWriter writer)
        {
            writer.WriteNumber("questions", Questions);
            for (var cut = 0; cut < Cuts.Count; cut++)
            {
                writer.WriteNumber($"any@{Cuts[cut]}", Math.Round(Any(cut), 4));
                writer.WriteNumber($"all@{Cuts[cut]}", Math.Round(All(cut), 4));
            }
        }

        private double Share(int count) => Questions == 0 ? 0 : (double)count / Questions;
    }
}
