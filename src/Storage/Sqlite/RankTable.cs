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
        return Inputs(
            (Tier)statement.Integer(firstColumn),
            (int)statement.Integer(firstColumn + 1),
            statement.Real(firstColumn + 2),
            statement.Integer(firstColumn + 3),
            new(statement.Integer(firstColumn + 4)),
            new(statement.Integer(firstColumn + 5)),
            statement.IntegerOrNull(firstColumn + 6) is { } expires ? new Timestamp(expires) : null,
            statement.Text(firstColumn + 7),
            statement.TextOrNull(firstColumn + 8),
            statement.TextOrNull(firstColumn + 9),
            MemoryRows.ParseTags(statement.Text(firstColumn + 10)),
            length);
    }

    public RankInputs Inputs(
        Tier tier,
        int priority,
        double confidence,
        long accessCount,
        Timestamp createdAt,
        Timestamp updatedAt,
        Timestamp? expiresAt,
        string @namespace,
        string? agentId,
        string? scope,
        IReadOnlyList<string> tags,
        int length)
    {
        ulong bits = 0;
        foreach (var tag in tags)
        {
            bits |= RankInputs.TagBit(tag);
        }

        return new()
        {
            Tier = tier,
            Priority = (byte)priority,
            Confidence = confidence,
            AccessCount = (int)Math.Min(accessCount, int.MaxValue),
            CreatedAt = createdAt,
            UpdatedAt = updatedAt,
            ExpiresAt = expiresAt ?? RankInputs.Never,
            Namespace = NamespaceNumber(@namespace),
            Agent = agentId is null ? 0 : RankInputs.Hash(agentId),
            Scope = Visibility.ScopeOf(scope),
            Tags = bits,
            Length = length,
        };
    }

    /// <summary>In every field.</summary>
    public static bool Equal(in RankInputs one, in RankInputs other) =>
        one.Namespace == other.Namespace && one.Length == other.Length && one.AccessCount == other.AccessCount && one.Agent == other.Agent
        && one.Tags == other.Tags && one.Confidence.Equals(other.Confidence) && one.CreatedAt == other.CreatedAt && one.UpdatedAt == other.UpdatedAt
        && one.ExpiresAt == other.ExpiresAt && one.Priority == other.Priority && one.Tier == other.Tier && one.Scope == other.Scope;

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
