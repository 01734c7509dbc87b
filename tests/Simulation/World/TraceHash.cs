using System.Buffers.Binary;

namespace OrleansMemory.Simulation.World;

/// <summary>A running 64-bit hash (FNV-1a over words) of everything that happens, in order: two runs are the same when it is.</summary>
public struct TraceHash
{
    private const ulong Prime = 1099511628211;

    private ulong _hash;

    public TraceHash() => _hash = 14695981039346656037;

    public readonly ulong Value => _hash;

    public void Add(long word) => _hash = ((_hash ^ (ulong)word) * Prime) ^ (_hash >> 47);

    public void Add(ReadOnlySpan<byte> bytes)
    {
        Add(bytes.Length);
        while (bytes.Length >= sizeof(long))
        {
            Add(BinaryPrimitives.ReadInt64LittleEndian(bytes));
            bytes = bytes[sizeof(long)..];
        }

        foreach (var each in bytes)
        {
            Add(each);
        }
    }

    public void Add(string text)
    {
        Add(text.Length);
        foreach (var unit in text)
        {
            Add(unit);
        }
    }
}
