using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using OrleansMemory.Core.Curation;
using OrleansMemory.Core.Governance;
using OrleansMemory.Core.Messaging;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Core;

/// <summary>
/// A write of one namespace beyond those that <see cref="INamespaceEngine"/> names: decided where the namespace is, inside one
/// transaction. Names and fields are sent between nodes: they never change meaning, and a field that is missing has its default.
/// </summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "do")]
[JsonDerivedType(typeof(RestoreCommand), "restore")]
[JsonDerivedType(typeof(PurgeCommand), "purge")]
[JsonDerivedType(typeof(RegisterAgentCommand), "register_agent")]
[JsonDerivedType(typeof(SetStandardCommand), "set_standard")]
[JsonDerivedType(typeof(ClearStandardCommand), "clear_standard")]
[JsonDerivedType(typeof(ProposeCommand), "propose")]
[JsonDerivedType(typeof(VoteCommand), "vote")]
[JsonDerivedType(typeof(ResolveCommand), "resolve")]
[JsonDerivedType(typeof(NotifyCommand), "notify")]
[JsonDerivedType(typeof(ReadMessagesCommand), "read_messages")]
[JsonDerivedType(typeof(ConsolidateCommand), "consolidate")]
[JsonDerivedType(typeof(UndoCurationCommand), "undo_curation")]
[JsonDerivedType(typeof(SupersedeCommand), "supersede")]
[JsonDerivedType(typeof(SubscribeCommand), "subscribe")]
[JsonDerivedType(typeof(UnsubscribeCommand), "unsubscribe")]
[JsonDerivedType(typeof(DeliveredCommand), "delivered")]
[JsonDerivedType(typeof(GrantCommand), "grant")]
[JsonDerivedType(typeof(RetireCommand), "retire")]
[JsonDerivedType(typeof(AdjustPriorityCommand), "adjust_priority")]
public abstract record NamespaceCommand
{
    /// <summary>What the decision will most likely read.</summary>
    [JsonIgnore]
    internal virtual ReadHints Hints => new([], [], []);

    internal abstract ValueTask<CommandResult> DecideAsync(Decision decision);
}

/// <summary>What a command did; each fills in what it gives.</summary>
public sealed record CommandResult
{
    /// <summary>The entry after the command, also when it was so before.</summary>
    public EntryState? Entry { get; init; }

    public WriteReceipt? Memory { get; init; }

    /// <summary>Rows that were changed.</summary>
    public long Count { get; init; }

    /// <summary>Where the write stands in its node's log.</summary>
    public LogPosition Position { get; init; }

    /// <summary>How many nodes hold the write, this one included; null on a node alone.</summary>
    public QuorumOutcome? Quorum { get; init; }

    /// <summary>One of <see cref="Durabilities"/>.</summary>
    public string Durability { get; init; } = Durabilities.Local;
}

/// <summary>What a command decides with.</summary>
internal sealed record Decision(WriteSession Session, NamespaceEngine Engine, WriteContext Context)
{
    public string Namespace => Engine.Namespace;

    /// <summary>Writes an entry as the next mutation.</summary>
    public async ValueTask<EntryState> PutAsync<T>(EntryKey key, string owner, T body, JsonTypeInfo<T> type, string? target = null, bool live = true)
    {
        var entry = new EntryState(key, owner, target, live, Session.NextStamp(), EntryBodies.Encode(body, type));
        await Session.PutAsync(entry);
        return (await Session.FindEntryAsync(key))!;
    }

    /// <summary>The body of a live entry; null when there is none.</summary>
    public async ValueTask<T?> FindAsync<T>(EntryKey key, JsonTypeInfo<T> type)
        where T : class =>
        await Session.FindEntryAsync(key) is { Live: true } entry ? EntryBodies.Decode(entry.Body, type) : null;

    public CommandResult Done(EntryState? entry = null, long count = 1) => new() { Entry = entry, Count = count, Position = Session.Position };
}
