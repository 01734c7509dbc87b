using System.Text;
using OrleansMemory.Core.Memories;
using OrleansMemory.Storage.Sqlite;

namespace OrleansMemory.Recall.Benchmark;

/// <summary>Memories whose words are drawn as in natural text: the n-th most common one with a probability of about 1/n.</summary>
internal sealed class Corpus
{
    private const int Vocabulary = 50_000;
    private const int ContentBytes = 1_024;
    private const int Namespaces = 20;

    private static readonly string[] Scopes = ["private", "team", "unit", "org", "collective"];

    private readonly Random _random;
    private readonly double[] _cumulative = new double[Vocabulary];
    private readonly string[] _words = new string[Vocabulary];
    private readonly Timestamp _now;

    public Corpus(int seed, Timestamp now)
    {
        _random = new Random(seed);
        _now = now;
        double sum = 0;
        for (var word = 0; word < Vocabulary; word++)
        {
            _cumulative[word] = sum += 1.0 / (word + 1);
            _words[word] = Spell(word);
        }
    }

    /// <summary>A word between two ranks, most common first.</summary>
    public string Word(int from, int to) => _words[_random.Next(from, Math.Min(to, Vocabulary))];

    public void Insert(SqliteStatement memory, SqliteStatement queue, long row)
    {
        var created = _now.Nanoseconds - (_random.NextInt64(0, 90L * 86_400) * 1_000_000_000);
        var updated = created + (long)(_random.NextDouble() * (_now.Nanoseconds - created));
        memory.Bind(1, row).Bind(2, _random.Next(3)).Bind(3, _random.Next(1, 11)).Bind(4, Math.Round(_random.NextDouble(), 2))
            .Bind(5, (long)Math.Min(60, -8 * Math.Log(1 - _random.NextDouble()))).Bind(6, created).Bind(7, updated)
            .Bind(8, Guid.NewGuid().ToString()).Bind(9, $"team/project-{row % Namespaces}").Bind(10, $"agent-{row % 7}")
            .Bind(11, Scopes[row % Scopes.Length]).Bind(12, Text(40)).Bind(13, $"[\"tag{row % 50}\"]").Bind(14, Text(ContentBytes)).Run();
        queue.Bind(1, row).Run();
    }

    private string Text(int bytes)
    {
        var text = new StringBuilder(bytes + 16);
        while (text.Length < bytes)
        {
            var found = Array.BinarySearch(_cumulative, _random.NextDouble() * _cumulative[^1]);
            text.Append(_words[Math.Min(found < 0 ? ~found : found, Vocabulary - 1)]).Append(' ');
        }

        return text.ToString(0, bytes - 1);
    }

    /// <summary>Pronounceable, distinct, and left alone by the stemmer.</summary>
    private static string Spell(int number)
    {
        const string Consonants = "bcdfghklmnprstvz";
        const string Vowels = "aeiou";
        var word = new StringBuilder();
        for (var rest = number + 1; rest > 0; rest /= 80)
        {
            word.Append(Consonants[rest % 16]).Append(Vowels[rest / 16 % 5]);
        }

        return word.Append('q').ToString();
    }
}
