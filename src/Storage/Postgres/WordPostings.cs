using System.Runtime.InteropServices;

namespace OrleansMemory.Storage.Postgres;

/// <summary>
/// Which rows hold a word, and how often: a byte for each row, in chunks of rows. The frequency counts up to
/// <see cref="TextTokens.MaxFrequency"/>. Written by one thread at a time, read by any; a reader may see a change in part.
/// </summary>
internal sealed class WordPostings
{
    public const int ChunkBits = 10;
    public const int ChunkRows = 1 << ChunkBits;

    private volatile byte[]?[] _chunks = [];
    private long _count;

    /// <summary>Rows that hold the word.</summary>
    public long Count => Volatile.Read(ref _count);

    /// <summary>Chunks that there may be, empty ones included.</summary>
    public int Chunks => _chunks.Length;

    public long Bytes => _chunks.Count(static chunk => chunk is not null) * (long)ChunkRows;

    /// <summary>The frequencies of a chunk's rows; null when none holds the word.</summary>
    public byte[]? Chunk(int number) => _chunks is var chunks && number < chunks.Length ? chunks[number] : null;

    public void Set(long row, byte frequency)
    {
        var number = checked((int)(row >> ChunkBits));
        var chunks = _chunks;
        if (number >= chunks.Length)
        {
            if (frequency == 0)
            {
                return;
            }

            Array.Resize(ref chunks, Math.Max(number + 1, chunks.Length * 2));
            _chunks = chunks;
        }

        if (chunks[number] is not { } chunk)
        {
            if (frequency == 0)
            {
                return;
            }

            chunks[number] = chunk = new byte[ChunkRows];
        }

        ref var held = ref chunk[row & (ChunkRows - 1)];
        Volatile.Write(ref _count, _count + (frequency > 0 ? 1 : 0) - (held > 0 ? 1 : 0));
        held = frequency;
    }

    /// <summary>Of rows in a chunk, those that hold any of the words: a byte that is not zero.</summary>
    public static void Unite(ReadOnlySpan<byte[]?> words, Span<byte> any)
    {
        any.Clear();
        var sum = MemoryMarshal.Cast<byte, ulong>(any);
        foreach (var word in words)
        {
            if (word is not null)
            {
                var parts = MemoryMarshal.Cast<byte, ulong>(word.AsSpan());
                for (var index = 0; index < sum.Length; index++)
                {
                    sum[index] |= parts[index];
                }
            }
        }
    }
}
