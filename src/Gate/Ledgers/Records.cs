using System.Text.Json.Serialization;

namespace OrleansMemory.Gate.Ledgers;

/// <summary>What became of an operation, as far as its client knows.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<Outcome>))]
public enum Outcome
{
    /// <summary>Answered 2xx: W nodes hold it.</summary>
    [JsonStringEnumMemberName("acked")]
    Acked,

    /// <summary>Answered that the node that was asked holds it and too few others: it reaches all unless that node's disk is lost.</summary>
    [JsonStringEnumMemberName("stored_locally")]
    StoredLocally,

    /// <summary>Answered that nothing was stored, or never sent.</summary>
    [JsonStringEnumMemberName("rejected")]
    Rejected,

    /// <summary>The connection broke or the node does not know: everywhere or nowhere in the end.</summary>
    [JsonStringEnumMemberName("indeterminate")]
    Indeterminate,

    /// <summary>An answer that is none of the documented ones.</summary>
    [JsonStringEnumMemberName("unexpected")]
    Unexpected,
}

/// <summary>A line of a ledger. Instants are microseconds since the campaign began.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "line")]
[JsonDerivedType(typeof(Operation), "op")]
[JsonDerivedType(typeof(Injection), "fault")]
[JsonDerivedType(typeof(NodeState), "node")]
[JsonDerivedType(typeof(Holding), "held")]
[JsonDerivedType(typeof(LaterReading), "later")]
public abstract record LedgerLine
{
    /// <summary>Lines of one cycle are judged together.</summary>
    public required int Cycle { get; init; }
}

/// <summary>One request of a client.</summary>
public sealed record Operation : LedgerLine
{
    /// <summary>Who asked; a memory is changed by the client that made it and by no other, one request after the other.</summary>
    public required string Client { get; init; }

    /// <summary>One of <see cref="Operations"/>.</summary>
    public required string Op { get; init; }

    /// <summary>The node that was asked.</summary>
    public required string Node { get; init; }

    /// <summary>Unique in the campaign.</summary>
    public required string Title { get; init; }

    /// <summary><see cref="Contents.EndOfId"/> of the memory; null while nobody answered it.</summary>
    public string? Id { get; init; }

    /// <summary><see cref="Contents.Hash"/> of what was written or read; null where there is none.</summary>
    public string? Hash { get; init; }

    public required long Start { get; init; }

    public required long End { get; init; }

    public required Outcome Outcome { get; init; }

    /// <summary>Of the memory, as a read showed it.</summary>
    public string? Tier { get; init; }

    /// <summary>HTTP status; null without an answer.</summary>
    public int? Status { get; init; }

    /// <summary>The code of an answer that is no 2xx.</summary>
    public string? Code { get; init; }

    /// <summary>It carried the token of the client's last acknowledged write.</summary>
    public bool? Token { get; init; }
}

/// <summary>The kinds of operations.</summary>
public static class Operations
{
    public const string Create = "create";
    public const string Update = "update";
    public const string Delete = "delete";
    public const string Promote = "promote";
    public const string Read = "read";
}

/// <summary>The fault of a cycle.</summary>
public sealed record Injection : LedgerLine
{
    public required string Fault { get; init; }

    public required string Victim { get; init; }

    /// <summary>When putting the fault in began.</summary>
    public required long Injected { get; init; }

    /// <summary>When it was in force.</summary>
    public required long InForce { get; init; }

    /// <summary>When the nodes were as before, and the traffic over.</summary>
    public required long Healed { get; init; }

    /// <summary>When all nodes were ready and equal; null when they were not within the deadline.</summary>
    public long? Converged { get; init; }
}

/// <summary>What a node says of itself after a cycle.</summary>
public sealed record NodeState : LedgerLine
{
    public required string Node { get; init; }

    /// <summary>Its memories of the cycle's namespace, as it counts them itself.</summary>
    public required long Stated { get; init; }

    /// <summary>Over all its replicated rows.</summary>
    public required string Digest { get; init; }
}

/// <summary>A memory that a node lists after a cycle.</summary>
public sealed record Holding : LedgerLine
{
    public required string Node { get; init; }

    /// <summary><see cref="Contents.EndOfId"/> of the memory.</summary>
    public required string Id { get; init; }

    public required string Title { get; init; }

    /// <summary><see cref="Contents.Hash"/> of its content.</summary>
    public required string Hash { get; init; }

    public required string Tier { get; init; }
}

/// <summary>What a node shows of a cycle's memories after the last cycle of all.</summary>
public sealed record LaterReading : LedgerLine
{
    public required string Node { get; init; }

    /// <summary>Memories that it lists.</summary>
    public required long Count { get; init; }

    /// <summary><see cref="FingerprintOf"/> of them.</summary>
    public required string Fingerprint { get; init; }

    /// <summary>Over id, title, content and tier of each, in whatever order they are listed.</summary>
    public static string FingerprintOf(IEnumerable<Holding> list) =>
        Contents.Hash(string.Join('\n', list.Select(static held => $"{held.Id} {held.Title} {held.Hash} {held.Tier}").Order(StringComparer.Ordinal)));
}
