using System.Buffers.Binary;
using OrleansMemory.Core.Backfills;
using OrleansMemory.Core.Backfills.Steps;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Storage.Tests;

/// <summary>Counts the words of each memory: four bytes, little-endian.</summary>
public static class WordCount
{
    private static readonly DerivedColumn Column = new("word-count", 1, static memory =>
    {
        var count = new byte[sizeof(int)];
        BinaryPrimitives.WriteInt32LittleEndian(count, memory.Content.Split(' ', StringSplitOptions.RemoveEmptyEntries).Length);
        return count;
    });

    public static IBackfillStep Step(IMemoryStore store) => new DerivedStep(store, Column);
}
