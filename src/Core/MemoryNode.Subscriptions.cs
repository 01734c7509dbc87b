using OrleansMemory.Core.Governance;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Messaging;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Core;

public sealed partial class MemoryNode
{
    public async Task<Subscription> SubscribeAsync(SubscriptionDraft draft, WriteContext context)
    {
        var entry = (await Engine(ReservedNamespaces.Subscriptions).RunAsync(new SubscribeCommand(draft.Check()), context)).Entry!;
        return new(entry.Key.Key, entry.Owner, EntryBodies.Decode(entry.Body, EntryJson.Default.SubscriptionBody), 0, 0, null, []);
    }

    /// <param name="owner">Null: anybody's.</param>
    public async Task<IReadOnlyList<Subscription>> SubscriptionsAsync(string? owner, CancellationToken cancellation = default)
    {
        var found = new List<Subscription>();
        await foreach (var entry in EntriesAsync(MutationKind.Subscription, owner, cancellation))
        {
            var (delivered, dead, last) = (0L, 0L, (long?)null);
            var letters = new List<UndeliveredEvent>();
            await foreach (var delivery in EntriesAsync(MutationKind.Delivery, entry.Key.Key, cancellation))
            {
                var body = EntryBodies.Decode(delivery.Body, EntryJson.Default.DeliveryBody);
                delivered += body.Delivered;
                dead += body.Dead;
                last = Nullable.Compare(body.LastDeliveredAt, last) > 0 ? body.LastDeliveredAt : last;
                letters.AddRange(body.DeadLetters);
            }

            found.Add(new(
                entry.Key.Key, entry.Owner, EntryBodies.Decode(entry.Body, EntryJson.Default.SubscriptionBody), delivered, dead, last is { } at ? new(at) : null,
                [.. letters.OrderByDescending(static letter => letter.At)]));
        }

        return [.. found.OrderByDescending(static subscription => subscription.Body.CreatedAt).ThenBy(static subscription => subscription.Id, StringComparer.Ordinal)];
    }

    public async Task<bool> UnsubscribeAsync(string id, string? owner, WriteContext context) =>
        (await Engine(ReservedNamespaces.Subscriptions).RunAsync(new UnsubscribeCommand(MemoryRules.Id(id), owner), context)).Count > 0;

    /// <summary>Keeps the log, up to what it retains at most, for one who reads it.</summary>
    /// <param name="readThrough">The last row that was read.</param>
    public void KeepLog(Func<long> readThrough) => _replicas.ReadThrough = readThrough;

    /// <summary>Ends with the next commit that a subscriber may be told of, or that changes who is.</summary>
    public Task NextCommit => _commits.Next;

    /// <summary>How far this node has told a subscriber of its own log; null: it has not begun.</summary>
    public async Task<DeliveryBody?> DeliveryAsync(string subscriptionId, CancellationToken cancellation = default) =>
        await EntryAsync(EntryBodies.DeliveryKey(subscriptionId, _store.Log), cancellation) is { } entry ? EntryBodies.Decode(entry.Body, EntryJson.Default.DeliveryBody) : null;

    /// <summary>Notes it, here: every node answers for its own log.</summary>
    public Task NoteDeliveryAsync(string subscriptionId, DeliveryBody delivery) =>
        new NamespaceEngine(ReservedNamespaces.Subscriptions, _replicas.Writer, _settings).RunAsync(new DeliveredCommand(subscriptionId, delivery), new(Quorum: "1"));
}
