namespace OrleansMemory.Cli.Bench;

/// <summary>
/// Made-up text with the word statistics of natural language: a vocabulary of pronounceable words drawn with Zipf's law
/// (probability proportional to 1 / rank). The same seed gives the same text.
/// </summary>
internal sealed class BenchText
{
    private const int Vocabulary = 30_000;

    private static readonly string[] Onsets = ["b", "d", "f", "g", "k", "l", "m", "n", "p", "r", "s", "t", "v", "z", "br", "st", "tr", "kl"];
    private static readonly string[] Vowels = ["a", "e", "i", "o", "u", "ai", "ou"];

    private readonly Random _random;
    private readonly string[] _words = new string[Vocabulary];
    private readonly double[] _cumulative = new double[Vocabulary];

    public BenchText(int seed)
    {
        // Repeatable text is the point; nothing here is secret.
#pragma warning disable CA5394
        _random = new(seed);
#pragma warning restore CA5394
        var known = new HashSet<string>();
        double sum = 0;
        for (var rank = 0; rank < Vocabulary; rank++)
        {
            string word;
            do
            {
                word = Word(syllables: 1 + (rank > 50 ? 1 : 0) + (rank > 2_000 ? 1 : 0));
            }
            while (!known.Add(word));

            _words[rank] = word;
            sum += 1.0 / (rank + 1);
            _cumulative[rank] = sum;
        }
    }

    /// <summary>A whole number below the limit.</summary>
    public int Pick(int limit)
    {
#pragma warning disable CA5394
        return _random.Next(limit);
#pragma warning restore CA5394
    }

    /// <summary>One of the hundred most frequent words.</summary>
    public string CommonWord() => _words[Pick(100)];

    /// <summary>A word that about one in two hundred memories of 1 KiB holds, or fewer.</summary>
    public string RareWord() => _words[3_000 + Pick(Vocabulary - 3_000)];

    /// <summary>Words and spaces that fill the buffer, ASCII; may end inside a word.</summary>
    public void Fill(Span<byte> buffer)
    {
        var at = 0;
        while (at < buffer.Length)
        {
            foreach (var letter in _words[Rank()])
            {
                if (at < buffer.Length)
                {
                    buffer[at++] = (byte)letter;
                }
            }

            if (at < buffer.Length)
            {
                buffer[at++] = (byte)' ';
            }
        }

        if (buffer[^1] == ' ')
        {
            buffer[^1] = (byte)'.';
        }
    }

    private int Rank()
    {
#pragma warning disable CA5394
        var drawn = _random.NextDouble() * _cumulative[^1];
#pragma warning restore CA5394
        var found = Array.BinarySearch(_cumulative, drawn);
        return Math.Min(found < 0 ? ~found : found, Vocabulary - 1);
    }

    private string Word(int syllables)
    {
        var word = "";
        for (var index = 0; index < syllables; index++)
        {
            word += Onsets[Pick(Onsets.Length)] + Vowels[Pick(Vowels.Length)];
        }

        return word + Onsets[Pick(14)];
    }
}
