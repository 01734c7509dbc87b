using OrleansMemory.Core.Governance;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Core.Messaging;

/// <summary>What changes of memories are called to those who subscribed to them.</summary>
public static class MemoryEvents
{
    public const string Store = "memory_store";
    public const string Update = "memory_update";
    public const string Promote = "memory_promote";
    public const string Archive = "memory_archive";
    public const string Delete = "memory_delete";
    public const string Any = "*";

    public static IReadOnlyList<string> Names { get; } = [Store, Update, Promote, Archive, Delete];
}

/// <summary>A change of a memory, as its log tells of it.</summary>
/// <param name="Memory">As it is now; null when it is deleted.</param>
public sealed record MemoryEvent(LogPosition Position, string Name, string MemoryId, string Namespace, Memory? Memory)
{
    /// <summary>What a row of a log did; null: nothing that anybody is told of. A row whose change was overtaken tells of what is left of it.</summary>
    public static MemoryEvent? Of(Mutation mutation)
    {
        if (mutation.Kind == MutationKind.MemoryDelete)
        {
            return new(mutation.Position, MemoryEvents.Delete, mutation.Key, MemoryCodec.DecodeTombstone(mutation.Body).Namespace, null);
        }

        if (mutation.Kind != MutationKind.Memory)
        {
            return null;
        }

        var state = MemoryCodec.Decode(mutation.Body);
        var name = state switch
        {
            { Archive: { Value: not null } archive } when archive.Stamp == mutation.Stamp => MemoryEvents.Archive,
            _ when state.Name.Stamp == mutation.Stamp || (state.Archive is { Value: null } restored && restored.Stamp == mutation.Stamp) => MemoryEvents.Store,
            _ when state.Body.Stamp == mutation.Stamp || state.Metadata.Stamp == mutation.Stamp || state.Confidence.Stamp == mutation.Stamp => MemoryEvents.Update,
            { Tier: Tier.Long } when state.Expiry.Stamp == mutation.Stamp => MemoryEvents.Promote,
            _ when state.Priority.Stamp == mutation.Stamp || state.Expiry.Stamp == mutation.Stamp => MemoryEvents.Update,
            _ => null,
        };
        return name is null ? null : new(mutation.Position, name, state.Id, state.Name.Value.Namespace, MemoryView.Of(state, default));
    }
}

/// <summary>Who wants to hear of which changes, and where.</summary>
/// <param name="Events">One or more of <see cref="MemoryEvents"/>.</param>
/// <param name="Secret">Signs what is sent; null: nothing is signed. Never shown.</param>
/// <param name="NamespaceFilter">This namespace and those below it; null: all.</param>
/// <param name="AgentFilter">Memories of this author; null: of all.</param>
public sealed record SubscriptionDraft(string Url, IReadOnlyList<string> Events, string? Secret = null, string? NamespaceFilter = null, string? AgentFilter = null)
{
    private const int UrlBytes = 2_048;
    private const int SecretBytes = 1_024;

    /// <exception cref="MemoryException"/>
    public SubscriptionDraft Check()
    {
        if (Url.Length > UrlBytes || !Uri.TryCreate(Url, UriKind.Absolute, out var url) || url.Scheme is not ("https" or "http") || url.UserInfo.Length > 0)
        {
            throw Invalid("url must be an absolute https or http address without a user in it");
        }

        if (Secret is not null && (Secret.Length == 0 || System.Text.Encoding.UTF8.GetByteCount(Secret) > SecretBytes))
        {
            throw Invalid($"secret must have 1 to {SecretBytes} bytes");
        }

        var events = Events.Count == 0 ? [MemoryEvents.Any] : Events.Distinct(StringComparer.Ordinal).ToList();
        return events.Find(static name => name != MemoryEvents.Any && !MemoryEvents.Names.Contains(name)) is { } unknown
            ? throw Invalid($"unknown event {(unknown.Length <= 64 ? unknown : unknown[..64])} (use {string.Join(", ", MemoryEvents.Names)} or {MemoryEvents.Any})")
            : this with
            {
                Events = events,
                NamespaceFilter = NamespaceFilter is null ? null : MemoryRules.Namespace(NamespaceFilter),
                AgentFilter = AgentFilter is null ? null : MemoryRules.AgentId(AgentFilter),
            };
    }

    private static MemoryException Invalid(string why) => new(ErrorKind.InvalidSubscription, why);
}

/// <param name="CreatedBy">The agent that made it, to whom alone it is shown.</param>
/// <param name="Delivered">Over all nodes.</param>
/// <param name="Dead">What could not be delivered, over all nodes; the latest of each are in <see cref="DeadLetters"/>.</param>
public sealed record Subscription(
    string Id, string CreatedBy, SubscriptionBody Body, long Delivered, long Dead, Timestamp? LastDeliveredAt, IReadOnlyList<UndeliveredEvent> DeadLetters)
{
    /// <summary>Whether its maker is to hear of a change: what it may not see it does not hear of.</summary>
    public bool Wants(MemoryEvent change) =>
        (Body.Events.Contains(MemoryEvents.Any) || Body.Events.Contains(change.Name))
        && (Body.NamespaceFilter is null || change.Namespace == Body.NamespaceFilter || change.Namespace.StartsWith(Body.NamespaceFilter + "/", StringComparison.Ordinal))
        && (Body.AgentFilter is null || change.Memory?.Metadata.Text("agent_id") == Body.AgentFilter)
        && (Body.IsBound is not true || (change.Memory is { } memory && Visibility.Of(new Principal(Role.Reader, CreatedBy, Body.Place)).Shows(memory)));
}

/// <summary>Makes a subscription.</summary>
public sealed record SubscribeCommand(SubscriptionDraft Draft) : NamespaceCommand
{
    internal override async ValueTask<CommandResult> DecideAsync(Decision decision)
    {
        var (session, context) = (decision.Session, decision.Context);
        if (context.AgentId is not { } agent || !await Governor.IsRegisteredAsync(session, agent))
        {
            throw new MemoryException(ErrorKind.Forbidden, "only registered agents subscribe: register the caller first");
        }

        var hash = Draft.Secret is null ? null : Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(System.Text.Encoding.UTF8.GetBytes(Draft.Secret)));
        var body = new SubscriptionBody(
            Draft.Url, Draft.Events, hash, Draft.NamespaceFilter, Draft.AgentFilter, EntryBodies.TimestampedBodySignature, session.Now.Nanoseconds, Draft.Secret,
            context.Principal is { SeesEverything: false } ? true : null, context.Principal?.Place);
        return decision.Done(await decision.PutAsync(EntryBodies.SubscriptionKey(session.NewId()), agent, body, EntryJson.Default.SubscriptionBody));
    }
}

/// <summary>Ends a subscription of the caller.</summary>
public sealed record UnsubscribeCommand(string Id, string? Owner) : NamespaceCommand
{
    internal override async ValueTask<CommandResult> DecideAsync(Decision decision)
    {
        var key = EntryBodies.SubscriptionKey(Id);
        if (await decision.Session.FindEntryAsync(key) is not { Live: true } held || (Owner is not null && held.Owner != Owner))
        {
            return decision.Done(count: 0);
        }

        // Its secret goes with it.
        var body = EntryBodies.Decode(held.Body, EntryJson.Default.SubscriptionBody) with { Secret = null, SecretHash = null };
        return decision.Done(await decision.PutAsync(key, held.Owner, body, EntryJson.Default.SubscriptionBody, live: false));
    }
}

/// <summary>Notes how far one node has told one subscriber of its log.</summary>
public sealed record DeliveredCommand(string SubscriptionId, DeliveryBody Delivery) : NamespaceCommand
{
    internal override async ValueTask<CommandResult> DecideAsync(Decision decision)
    {
        var isLive = await decision.Session.FindEntryAsync(EntryBodies.SubscriptionKey(SubscriptionId)) is { Live: true };
        return decision.Done(await decision.PutAsync(
            EntryBodies.DeliveryKey(SubscriptionId, decision.Session.Position.Log), SubscriptionId, Delivery, EntryJson.Default.DeliveryBody, live: isLive));
    }
}
