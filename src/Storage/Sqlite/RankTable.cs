using System.Runtime.InteropServices;
using OrleansMemory.Core.Governance;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Recall;

namespace OrleansMemory.Storage.Sqlite;

/// <summary>
/// The rank inputs of every shown memory, in memory by row: 72 bytes each. Written by the indexer's thread alone, read by any
/// thread without a lock; a reader sees a row as it was before or after a write, never between.
/// </summary>
internal sealed class RankTable
{
    // Small enough to stay off the large object heap.
    private const int ChunkBits = 10;
    private const int ChunkRows = 1 << ChunkBits;

    private readonly Dictionary<string, int> _namespaceNumbers = [];
    private volatile Slot[]?[] _chunks = new Slot[]?[64];
    private volatile string[] _namespaces = new string[16];
    private long _documents;
    private long _tokens;

    public long Documents => Volatile.Read(ref _documents);

    public double AverageLength => Documents is > 0 and var documents ? (double)Volatile.Read(ref _tokens) / documents : 0;

    public string NamespaceName(int number) => _namespaces[number];

    public bool TryGet(long row, out RankInputs inputs)
    {
        var chunks = _chunks;
        var index = row >> ChunkBits;
        if ((ulong)index >= (ulong)chunks.Length || chunks[index] is not { } chunk)
        {
            inputs = default;
            return false;
        }

        ref var slot = ref chunk[row & (ChunkRows - 1)];
        while (true)
        {
            var before = Volatile.Read(ref slot.Version);
            inputs = slot.Inputs;
            Volatile.ReadBarrier();
            if ((before & 1) == 0 && slot.Version == before)
            {
                return inputs.Priority != 0;
            }

            Thread.SpinWait(8);
        }
    }

    /// <summary>Adds or replaces.</summary>
    public void Set(long row, in RankInputs inputs)
    {
        Remove(row);
        var index = checked((int)(row >> ChunkBits));
        if (index >= _chunks.Length)
        {
            var grown = new Slot[]?[Math.Max(index + 1, _chunks.Length * 2)];
            _chunks.CopyTo(grown, 0);
            _chunks = grown;
        }

        Write(ref (_chunks[index] ??= new Slot[ChunkRows])[row & (ChunkRows - 1)], inputs);
        Volatile.Write(ref _tokens, _tokens + inputs.Length);
        Volatile.Write(ref _documents, _documents + 1);
    }

    public void Remove(long row)
    {
        if (TryGet(row, out var old))
        {
            Write(ref _chunks[row >> ChunkBits]![row & (ChunkRows - 1)], default);
            Volatile.Write(ref _tokens, _tokens - old.Length);
            Volatile.Write(ref _documents, _documents - 1);
        }
    }

    public int NamespaceNumber(string name)
    {
        if (!_namespaceNumbers.TryGetValue(name, out var number))
        {
            number = _namespaceNumbers.Count;
            var names = _namespaces;
            if (number == names.Length)
            {
                Array.Resize(ref names, names.Length * 2);
            }

            names[number] = name;
            _namespaces = names;
            _namespaceNumbers.Add(name, number);
        }

        return number;
    }

    /// <summary>What <see cref="Read"/> expects, in its order.</summary>
    public const string Columns = "tier, priority, confidence, access_count, created_at, updated_at, expires_at, namespace, agent_id, scope, tags";

    /// <summary>Takes the inputs from a row of <c>memory</c>.</summary>
    public RankInputs Read(SqliteStatement statement, int firstColumn, int length)
    {
        ulong tags = 0;
        foreach (var tag in MemoryRows.ParseTags(statement.Text(firstColumn + 10)))
        {
            tags |= RankInputs.TagBit(tag);
        }

        return new()
        {
            Tier = (Tier)statement.Integer(firstColumn),
            Priority = (byte)statement.Integer(firstColumn + 1),
            Confidence = statement.Real(firstColumn + 2),
            AccessCount = (int)Math.Min(statement.Integer(firstColumn + 3), int.MaxValue),
            CreatedAt = new(statement.Integer(firstColumn + 4)),
            UpdatedAt = new(statement.Integer(firstColumn + 5)),
            ExpiresAt = statement.IntegerOrNull(firstColumn + 6) is { } expires ? new(expires) : RankInputs.Never,
            Namespace = NamespaceNumber(statement.Text(firstColumn + 7)),
            Agent = statement.TextOrNull(firstColumn + 8) is { } agent ? RankInputs.Hash(agent) : 0,
            Scope = Visibility.ScopeOf(statement.TextOrNull(firstColumn + 9)),
            Tags = tags,
            Length = length,
        };
    }

    private static void Write(ref Slot slot, in RankInputs inputs)
    {
        slot.Version++;
        Volatile.WriteBarrier();
        slot.Inputs = inputs;
        Volatile.WriteBarrier();
        slot.Version++;
    }

    [StructLayout(LayoutKind.Auto)]
    private struct Slot
    {
        public int Version;

        public RankInputs Inputs;
    }
}
