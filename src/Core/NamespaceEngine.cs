using System.Security.Cryptography;
using System.Text;
using OrleansMemory.Core.Governance;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Core;

/// <summary>
/// Decides the writes of one namespace: limits, identity, conflicts. Each decision runs inside a transaction of its node's
/// writer, on the state that it commits with.
/// </summary>
/// <param name="epoch">The activation that it decides for, in a cluster in which a namespace has one.</param>
public sealed class NamespaceEngine(string @namespace, ReplicatedWriter writer, NodeSettings settings, NamespaceEpoch? epoch = null) : INamespaceEngine
{
    /// <summary>How often a write that met a delete is decided again.</summary>
    private const int DecidedAgain = 2;

    public string Namespace { get; } = @namespace;

    /// <summary>When something of a tier ends that begins now; null: never.</summary>
    internal Timestamp? ExpiryOf(Tier tier, Timestamp now) => settings.Lifetimes.ExpiryOf(tier, now);

    /// <summary>No other engine decides for the namespace meanwhile.</summary>
    public bool IsOnlyOne => epoch is not null;

    public Task<WriteReceipt> StoreAsync(MemoryDraft draft, WriteContext context) => context.IdempotencyKey is { } key

        // What the first request made is known when it has ended: while it waits for its quorum, a delete may have it decided again.
        ? writer.Keyed.RunAsync(MemoryIds.Derived(context.AgentId, key), () => StoreOnceAsync(draft, context))
        : StoreOnceAsync(draft, context);

    private Task<WriteReceipt> StoreOnceAsync(MemoryDraft draft, WriteContext context)
    {
        // A repetition that meets a delete stays one.
        var isFirst = false;
        return WriteAsync(
            async (session, isAgain) =>
            {
                Faults.Replace(Fault.RepetitionDecidedAnew, ref isFirst, true);
                if (!(isAgain && isFirst) && await RepeatAsync(session, draft, context) is { } repeated)
                {
                    return repeated;
                }

                isFirst = true;
                return await DecideStoreAsync(session, draft, context);
            },
            context,
            HintsOf(draft, context));
    }

    public Task<WriteReceipt> ImportAsync(Memory memory, WriteContext context) => WriteAsync((session, _) => DecideImportAsync(session, memory, context), context, HintsOf(memory));

    public async Task<SyncOutcome> SyncAsync(Memory memory, WriteContext context) =>
        (await writer.RunAsync(session => DecideSyncAsync(session, memory, context), writer.Parse(context.Quorum), HintsOf(memory), epoch)).Value;

    public Task<WriteReceipt> UpdateAsync(string id, MemoryPatch patch, WriteContext context) =>
        UpdateOnceAsync(id, patch, GovernedAction.Update, context);

    public Task<WriteReceipt> DeleteAsync(string id, WriteContext context) => WriteAsync((session, _) => DecideDeleteAsync(session, id, context), context, HintsOf(id));

    public Task<WriteReceipt> PromoteAsync(string id, WriteContext context) =>
        UpdateOnceAsync(id, new MemoryPatch { Tier = Tier.Long, ClearExpiry = true }, GovernedAction.Promote, context);

    public async Task<long> ForgetAsync(IReadOnlyList<string> ids, WriteContext context) =>
        (await writer.RunAsync(session => DecideForgetAsync(session, ids, context), writer.Parse(context.Quorum), new(ids, [], []), epoch)).Value;

    public async Task<CommandResult> RunAsync(NamespaceCommand command, WriteContext context)
    {
        var (result, outcome) = await writer.RunAsync(
            session =>
            {
                session.WritesTo(Namespace);
                return command.DecideAsync(new(session, this, context));
            },
            writer.Parse(context.Quorum),
            command.Hints,
            epoch);
        return writer.Settings.Nodes == 1 ? result : result with { Quorum = outcome, Durability = writer.DurabilityOf(outcome) };
    }

    /// <summary>Archives those of the given memories that are still expired.</summary>
    public async Task<long> ExpireAsync(IReadOnlyList<string> ids) => (await writer.RunAsync(session => DecideExpireAsync(session, ids), wanted: 1, new(ids, [], []))).Value;

    public async Task SetQuorumAsync(int? writes, WriteContext context)
    {
        if (writes is < 1 || writes > writer.Settings.Nodes)
        {
            throw new MemoryException(ErrorKind.InvalidQuorum, $"quorum_writes must be a number from 1 to {writer.Settings.Nodes}, the nodes there are, or null");
        }

        await writer.RunAsync(
            async session =>
            {
                session.WritesTo(Namespace);
                await Governor.RequireNamespaceOwnerAsync(session, context, Namespace);
                var key = EntryBodies.PolicyKey(Namespace);
                var held = await session.FindEntryAsync(key) is { Live: true } entry ? EntryBodies.Policy(entry.Body) : PolicyBody.Empty;
                await session.PutAsync(new EntryState(key, Namespace, null, Live: true, session.NextStamp(), EntryBodies.Encode(held with { QuorumWrites = writes })));
                return session.Position;
            },
            writer.Parse(context.Quorum),
            epoch: epoch);
    }

    public async Task<LinkReceipt> LinkAsync(string sourceId, string targetId, string relation, Timestamp? createdAt, WriteContext context)
    {
        var key = EntryBodies.LinkKey(sourceId, relation, targetId);
        var (receipt, outcome) = await writer.RunAsync(
            session => DecideLinkAsync(session, key, sourceId, targetId, createdAt, context), writer.Parse(context.Quorum), new([sourceId, targetId], [], [key]), epoch);
        return writer.Settings.Nodes == 1 ? receipt : receipt with { Quorum = outcome, Durability = writer.DurabilityOf(outcome) };
    }

    /// <summary>
    /// Changes every id of a name. When one of them turns out to be deleted elsewhere the others have the change already, so it is
    /// decided again on those, and the version that the caller saw is not asked for a second time.
    /// </summary>
    private Task<WriteReceipt> UpdateOnceAsync(string id, MemoryPatch patch, GovernedAction action, WriteContext context)
    {
        List<string> ids = [id];
        return WriteAsync(
            async (session, isAgain) =>
            {
                var group = await FindLiveAsync(session, ids, context);
                ids = [.. ids.Union(group.Select(static row => row.Own.Id))];
                return await DecideUpdateAsync(session, group, patch, action, isAgain ? context with { IfMatch = null } : context);
            },
            context,
            HintsOf(id));
    }

    /// <param name="decide">Its second argument is true when it decides again because what it wrote before was deleted elsewhere.</param>
    private async Task<WriteReceipt> WriteAsync(Func<WriteSession, bool, ValueTask<WriteReceipt>> decide, WriteContext context, ReadHints hints)
    {
        var wanted = writer.Parse(context.Quorum);
        var met = new QuorumOutcome(0, 0, null);
        for (var attempt = 0; ; attempt++)
        {
            try
            {
                var isAgain = attempt > 0;
                var (receipt, outcome) = await writer.RunAsync(session => decide(session, isAgain), wanted, hints, epoch);
                return writer.Settings.Nodes == 1 ? receipt : receipt with
                {
                    Quorum = outcome,
                    Durability = writer.DurabilityOf(outcome),
                };
            }
            catch (ApprovalNeededException exception)
            {
                throw await ProposeAsync(exception.Request, context);
            }
            catch (QuorumException exception) when (exception.Quorum.MetDelete && attempt < DecidedAgain)
            {
                // This node holds the delete now: a store takes a new id, a change finds nothing.
                met = exception.Quorum;
            }
            catch (MemoryException exception) when (attempt > 0 && exception.Kind != ErrorKind.NotFound && exception is not QuorumException { Outcome: not QuorumException.NotStored })
            {
                // What was decided first stands, under those ids of the name that are not deleted.
                throw new QuorumException((exception as QuorumException)?.Quorum ?? met, QuorumException.Unknown, exception.Message, exception);
            }
        }
    }

    /// <summary>Lets a change wait. A repetition of the request waits under the same id.</summary>
    private async Task<PendingException> ProposeAsync(PendingRequest request, WriteContext context)
    {
        var id = context.IdempotencyKey is { } key ? MemoryIds.Derived(context.AgentId, $"pending:{key}") : null;
        var by = context.AgentId ?? request.RequestedBy ?? $"{AgentIdentity.AnonymousPrefix}caller";
        var result = await RunAsync(new ProposeCommand(id, request.ActionType, request.MemoryId, request.Payload, by), context);
        return new(result.Entry!.Key.Key, request.ActionType, Namespace, request.MemoryId);
    }

    private IEnumerable<EntryKey> PolicyKeys() => Governor.Chain(Namespace).Select(EntryBodies.PolicyKey);

    private ReadHints HintsOf(string id) => new([id], [], [.. PolicyKeys()]);

    private ReadHints HintsOf(MemoryDraft draft, WriteContext context)
    {
        var name = new MemoryName(draft.Namespace, draft.Title);
        if (context.IdempotencyKey is not { } key)
        {
            return new([], [name], [.. PolicyKeys()]);
        }

        var id = MemoryIds.Derived(context.AgentId, key);
        return new([id], [name], [new(MutationKind.IdempotencyReceipt, id), .. PolicyKeys()]);
    }

    private ReadHints HintsOf(Memory memory) =>
        new([memory.Id], [new(memory.Namespace, memory.Title)], [EntryBodies.LegacyAccessKey(memory.Id), .. PolicyKeys()]);

    private async ValueTask<WriteReceipt> DecideStoreAsync(WriteSession session, MemoryDraft draft, WriteContext context)
    {
        var receiptId = context.IdempotencyKey is { } key ? MemoryIds.Derived(context.AgentId, key) : null;
        var name = new MemoryName(draft.Namespace, draft.Title);
        var group = await LiveGroupAsync(session, name);
        if (group.Count > 0)
        {
            await RequireSeenAsync(session, group, context);
        }

        var subject = group.Count > 0 ? group[0].View : null;
        await Governor.RequireAsync(session, context, GovernedAction.Store, name.Namespace, subject, () => PendingPayloads.OfStore(draft));
        if (draft.Tier == Tier.Long && subject is not null && subject.Tier != Tier.Long)
        {
            await Governor.RequireAsync(session, context, GovernedAction.Promote, name.Namespace, subject, () => PendingPayloads.OfStore(draft));
        }

        WriteReceipt receipt;
        if (group.Count == 0)
        {
            var id = receiptId;
            if (id is null || await IsHeldAsync(session, id))
            {
                id = session.NewId();
                session.DeclareNew(id);
            }

            var stamp = session.NextStamp();
            var now = session.Now;
            var row = await session.PutAsync(
                NewState(id, name, new(draft.Content, draft.Tags, draft.Source), draft.Metadata, draft.Priority, draft.Confidence, draft.Tier,
                    settings.Lifetimes.ExpiryOf(draft, now), now, now, stamp, session.Epoch),
                stamp,
                idempotencyKey: context.IdempotencyKey);
            receipt = ReceiptOf(session, row, created: true, stamp);
        }
        else
        {
            receipt = await MergeIntoAsync(session, group, stamp => state => Upsert(state, group[0].View, draft, session.Now, stamp));
        }

        if (receiptId is not null)
        {
            var body = EntryBodies.Encode(new IdempotencyReceiptBody(HashOf(draft), receipt.Created));
            await session.PutAsync(new EntryState(new(MutationKind.IdempotencyReceipt, receiptId), receipt.Memory.Id, null, Live: true, session.NextStamp(), body));
            receipt = receipt with { Position = session.Position };
        }

        return receipt;
    }

    private async ValueTask<WriteReceipt?> RepeatAsync(WriteSession session, MemoryDraft draft, WriteContext context)
    {
        if (context.IdempotencyKey is not { } key)
        {
            return null;
        }

        var receiptId = MemoryIds.Derived(context.AgentId, key);
        var entry = await session.FindEntryAsync(new(MutationKind.IdempotencyReceipt, receiptId));
        Faults.Replace(Fault.RepetitionForgotten, ref entry, null);
        if (entry is null)
        {
            return null;
        }

        if (EntryBodies.Receipt(entry.Body).RequestHash != HashOf(draft))
        {
            throw new MemoryException(ErrorKind.IdempotencyMismatch, "this Idempotency-Key was used with another request; use a new key");
        }

        // A retry answers as the first request did, also when the memory was deleted since: the write it asks about did happen.
        var row = await session.FindAsync(entry.Owner);
        if (writer.Settings.Nodes > 1)
        {
            // The rows are logged once more as they are, so that the answer rests on what the peers hold now.
            session.WritesTo(Namespace);
            if (row is not null)
            {
                session.Relog(MutationKind.Memory, entry.Owner);
            }

            session.Relog(MutationKind.IdempotencyReceipt, receiptId);
        }

        var memory = row?.View ?? new Memory
        {
            Id = entry.Owner,
            Tier = draft.Tier,
            Namespace = draft.Namespace,
            Title = draft.Title,
            Content = draft.Content,
            Tags = draft.Tags,
            Priority = draft.Priority,
            Confidence = draft.Confidence,
            Source = draft.Source,
            CreatedAt = Timestamp.FromUnixMilliseconds(entry.Stamp.UnixMilliseconds),
            UpdatedAt = Timestamp.FromUnixMilliseconds(entry.Stamp.UnixMilliseconds),
            Metadata = draft.Metadata,
        };
        return new(memory, Created: false, session.Position, entry.Stamp, row is null ? "" : VersionOf(row.Own));
    }

    internal async ValueTask<LinkReceipt> DecideLinkAsync(WriteSession session, EntryKey key, string sourceId, string targetId, Timestamp? createdAt, WriteContext context)
    {
        var source = await RequireLiveAsync(session, sourceId, "source", Permission.Write, context);
        session.WritesTo(source.Namespace);
        await Governor.RequireAsync(session, context, GovernedAction.Link, source.Namespace, source);
        await RequireLiveAsync(session, targetId, "target", Permission.Read, context);
        if (await session.FindEntryAsync(key) is { Live: true } held)
        {
            if (writer.Settings.Nodes > 1)
            {
                // Logged once more as it is, so that the answer rests on what the peers hold now.
                session.Relog(key.Kind, key.Key);
            }

            return new(EntryBodies.Link(held), Linked: false, session.Position, held.Stamp);
        }

        var body = EntryBodies.Encode(new LinkBody((createdAt ?? session.Now).Nanoseconds));
        var entry = new EntryState(key, sourceId, targetId, Live: true, session.NextStamp(), body);
        await session.PutAsync(entry);
        return new(EntryBodies.Link(entry), Linked: true, session.Position, entry.Stamp);
    }

    private static async ValueTask<Memory> RequireLiveAsync(WriteSession session, string id, string end, Permission needed, WriteContext context)
    {
        var row = await session.FindAsync(id);
        if (row is null or { Visibility: RowVisibility.Archived } || row.View.IsExpired(session.Now) || !await Access.AllowsAsync(session, context, row.View, needed))
        {
            throw new MemoryException(ErrorKind.NotFound, $"{end} memory not found: {id}");
        }

        return row.View;
    }

    private async ValueTask<WriteReceipt> DecideImportAsync(WriteSession session, Memory memory, WriteContext context)
    {
        var name = new MemoryName(memory.Namespace, memory.Title);
        var held = await session.FindAsync(memory.Id);
        var group = held is { Visibility: not RowVisibility.Archived }
            ? await session.FindGroupAsync(held.Own.Name.Value)
            : await LiveGroupAsync(session, name);
        await GovernImportAsync(session, context, name, group);
        WriteReceipt receipt;
        if (group.Count > 0)
        {
            if (group[0].Own.Name.Value != name)
            {
                await RefuseTakenAsync(session, name, context);
            }

            await RequireSeenAsync(session, group, context);
            receipt = await MergeIntoAsync(session, group, stamp => state => Import(state, memory, stamp));
        }
        else
        {
            // An archived or deleted id stays what it is; its content comes back under a new one.
            var id = memory.Id;
            if (await IsHeldAsync(session, id))
            {
                id = session.NewId();
                session.DeclareNew(id);
            }

            var stamp = session.NextStamp();
            var row = await session.PutAsync(
                NewState(id, name, new(memory.Content, memory.Tags, memory.Source), memory.Metadata, memory.Priority, memory.Confidence, memory.Tier,
                    memory.ExpiresAt, memory.CreatedAt, memory.UpdatedAt, stamp, session.Epoch),
                stamp);
            receipt = ReceiptOf(session, row, created: true, stamp);
        }

        if (memory.AccessCount > receipt.Memory.AccessCount)
        {
            var body = EntryBodies.Encode(new AccessBody(memory.AccessCount, memory.LastAccessedAt?.Nanoseconds));
            await session.PutAsync(new EntryState(EntryBodies.LegacyAccessKey(receipt.Memory.Id), receipt.Memory.Id, null, Live: true, session.NextStamp(), body));
            receipt = receipt with { Memory = (await session.FindAsync(receipt.Memory.Id))!.View, Position = session.Position };
        }

        return receipt;
    }

    /// <summary>
    /// Text and metadata are those of the newer side, priority, confidence, tier and access count the larger ones. Of equal update
    /// times the larger id wins, so that nodes that hear of two memories in either order agree. An id that this node does not know
    /// becomes one of the name's ids, so that its own system finds the memory under it here too.
    /// </summary>
    private async ValueTask<SyncOutcome> DecideSyncAsync(WriteSession session, Memory memory, WriteContext context)
    {
        var name = new MemoryName(memory.Namespace, memory.Title);
        var group = (await LiveGroupAsync(session, name)).ToList();
        if (await session.FindTombstoneAsync(memory.Id) is not null)
        {
            // Perhaps only now, when what had expired was put away.
            return new(Changed: false, session.Position);
        }

        var held = await session.FindAsync(memory.Id);
        if (held is { Visibility: RowVisibility.Archived, Own.Archive.Value.At: var archivedAt } && memory.UpdatedAt <= archivedAt)
        {
            return new(Changed: false, session.Position);
        }

        if (held is { Visibility: not RowVisibility.Archived } && held.Own.Name.Value != name)
        {
            // One side has renamed it: the newer name is the name.
            var renamed = await session.FindGroupAsync(held.Own.Name.Value);
            if (memory.UpdatedAt <= renamed[0].View.UpdatedAt)
            {
                return new(Changed: false, session.Position);
            }

            group.AddRange(renamed);
        }

        await GovernImportAsync(session, context, name, group);
        if (group.Count == 0)
        {
            await TakeAsync(session, memory, held is null ? memory.Id : null);
            return new(Changed: true, session.Position);
        }

        var shown = group[0].View;
        var merged = Newest(shown, memory, Wins(memory, group));
        var changed = false;
        if (!SaysTheSame(merged, group))
        {
            await MergeIntoAsync(session, group, stamp => state => Synchronised(state, shown, merged, name, stamp));
            changed = true;
        }

        if (memory.AccessCount > shown.AccessCount)
        {
            await RaiseAccessAsync(session, shown.Id, memory.AccessCount - shown.AccessCount, memory.LastAccessedAt);
            changed = true;
        }

        if (held is null)
        {
            // The joint state under another id, with the stamps it has: nothing of it is newer than the others.
            var members = new List<MemoryRow>(group.Count);
            foreach (var member in group)
            {
                members.Add((await session.FindAsync(member.Own.Id))!);
            }

            var joint = Joint(members);

            var stamp = session.NextStamp();
            await session.PutAsync(
                joint with
                {
                    Id = memory.Id,
                    CreatedAt = memory.CreatedAt,
                    Tier = merged.Tier,
                    Expiry = joint.Expiry.Value == merged.ExpiresAt ? joint.Expiry : new(merged.ExpiresAt, stamp),
                },
                stamp);
            await RaiseAccessAsync(session, memory.Id, Math.Max(memory.AccessCount, shown.AccessCount), memory.LastAccessedAt ?? shown.LastAccessedAt);
            changed = true;
        }

        return new(changed, session.Position);
    }

    /// <summary>Judges what comes whole: where it goes, and each namespace in which it changes something.</summary>
    private static async ValueTask GovernImportAsync(WriteSession session, WriteContext context, MemoryName name, IReadOnlyList<MemoryRow> group)
    {
        await Governor.RequireAsync(session, context, GovernedAction.Import, name.Namespace, group.FirstOrDefault(row => row.Own.Name.Value == name)?.View);
        foreach (var row in group.Where(row => row.Own.Name.Value.Namespace != name.Namespace))
        {
            await Governor.RequireAsync(session, context, GovernedAction.Import, row.Own.Name.Value.Namespace, row.View);
        }
    }

    /// <param name="id">Null draws one: the memory's own names a row that was put away.</param>
    private static async ValueTask TakeAsync(WriteSession session, Memory memory, string? id)
    {
        if (id is null)
        {
            id = session.NewId();
            session.DeclareNew(id);
        }

        var stamp = session.NextStamp();
        await session.PutAsync(
            NewState(id, new(memory.Namespace, memory.Title), new(memory.Content, memory.Tags, memory.Source), memory.Metadata, memory.Priority, memory.Confidence,
                memory.Tier, memory.Tier == Tier.Long ? null : memory.ExpiresAt, memory.CreatedAt, memory.UpdatedAt, stamp, session.Epoch),
            stamp);
        await RaiseAccessAsync(session, id, memory.AccessCount, memory.LastAccessedAt);
    }

    /// <summary>Adds accesses that were counted elsewhere.</summary>
    internal static async ValueTask RaiseAccessAsync(WriteSession session, string id, long by, Timestamp? lastAt)
    {
        if (by == 0)
        {
            return;
        }

        var key = EntryBodies.LegacyAccessKey(id);
        var counted = await session.FindEntryAsync(key) is { } entry ? EntryBodies.Access(entry.Body).Count : 0;
        var body = EntryBodies.Encode(new AccessBody(counted + by, lastAt?.Nanoseconds));
        await session.PutAsync(new EntryState(key, id, null, Live: true, session.NextStamp(), body));
    }

    private static bool Wins(Memory memory, List<MemoryRow> group)
    {
        var held = group[0].View;
        if (memory.UpdatedAt != held.UpdatedAt)
        {
            return memory.UpdatedAt > held.UpdatedAt;
        }

        var order = string.CompareOrdinal(memory.Id, group.Select(static row => row.Own.Id).Max(StringComparer.Ordinal));
        return order != 0 ? order > 0 : string.CompareOrdinal(memory.Content, held.Content) > 0;
    }

    private static Memory Newest(Memory held, Memory memory, bool wins)
    {
        var tier = (Tier)Math.Max((int)held.Tier, (int)memory.Tier);
        return held with
        {
            Namespace = memory.Namespace,
            Title = memory.Title,
            Content = wins ? memory.Content : held.Content,
            Tags = wins ? memory.Tags : held.Tags,
            Source = wins ? memory.Source : held.Source,
            Metadata = wins ? KeepAuthor(memory.Metadata, held.Metadata) : held.Metadata,
            Priority = Math.Max(held.Priority, memory.Priority),
            Confidence = Math.Max(held.Confidence, memory.Confidence),
            Tier = tier,
            ExpiresAt = tier == Tier.Long ? null : wins ? memory.ExpiresAt ?? held.ExpiresAt : held.ExpiresAt,
            UpdatedAt = memory.UpdatedAt > held.UpdatedAt ? memory.UpdatedAt : held.UpdatedAt,
        };
    }

    /// <summary>Whether the shown memory says it already, under one name for all its ids.</summary>
    private static bool SaysTheSame(Memory merged, List<MemoryRow> group)
    {
        var held = group[0].View;
        return held with { Tags = merged.Tags } == merged && held.Tags.SequenceEqual(merged.Tags)
            && group.TrueForAll(row => row.Own.Name.Value == new MemoryName(merged.Namespace, merged.Title));
    }

    private static MemoryState Synchronised(MemoryState state, Memory shown, Memory merged, MemoryName name, Stamp stamp) => state with
    {
        Name = state.Name.Value == name ? state.Name : new(name, stamp),
        Body = new(new(merged.Content, merged.Tags, merged.Source), stamp),
        Metadata = new(merged.Metadata, stamp),

        // What accesses add to a priority is derived, and must not become part of it.
        Priority = merged.Priority > shown.Priority ? new(merged.Priority, stamp) : state.Priority,
        Confidence = new(merged.Confidence, stamp),
        Tier = merged.Tier,
        Expiry = merged.ExpiresAt == shown.ExpiresAt ? state.Expiry : new(merged.ExpiresAt, stamp),
        UpdatedAt = merged.UpdatedAt,
    };

    internal async ValueTask<WriteReceipt> DecideUpdateAsync(
        WriteSession session, IReadOnlyList<MemoryRow> group, MemoryPatch patch, GovernedAction action, WriteContext context)
    {
        RequireVersion(group[0], context);
        var view = group[0].View;
        var request = () => action == GovernedAction.Promote ? PendingPayloads.Of(PendingPayloads.Promote, view.Id) : PendingPayloads.OfUpdate(view.Id, patch);
        await Governor.RequireAsync(session, context, action, view.Namespace, view, request);
        if (action != GovernedAction.Promote && patch.Tier == Tier.Long && view.Tier != Tier.Long)
        {
            await Governor.RequireAsync(session, context, GovernedAction.Promote, view.Namespace, view, request);
        }

        var name = new MemoryName(patch.Namespace ?? group[0].View.Namespace, patch.Title ?? group[0].View.Title);
        if (name != group[0].Own.Name.Value)
        {
            if (name.Namespace != view.Namespace)
            {
                await Governor.RequireAsync(session, context, GovernedAction.Update, name.Namespace, subject: null, request);
            }

            await RefuseTakenAsync(session, name, context);
        }

        return await MergeIntoAsync(session, group, stamp => state => Patch(state, group[0].View, patch, name, session.Now, stamp));
    }

    private static async ValueTask<WriteReceipt> DecideDeleteAsync(WriteSession session, string id, WriteContext context)
    {
        var group = await FindLiveAsync(session, [id], context);
        RequireVersion(group[0], context);
        await Governor.RequireAsync(
            session, context, GovernedAction.Delete, group[0].View.Namespace, group[0].View, () => PendingPayloads.Of(PendingPayloads.Delete, group[0].View.Id));
        var stamp = default(Stamp);
        foreach (var row in group)
        {
            stamp = session.NextStamp();
            await session.DeleteAsync(new(row.Own.Id, row.Own.Name.Value.Namespace, stamp, session.Now));
        }

        return new(group[0].View, Created: false, session.Position, stamp, "");
    }

    private static async ValueTask<long> DecideForgetAsync(WriteSession session, IReadOnlyList<string> ids, WriteContext context)
    {
        long archived = 0;
        var denied = false;
        foreach (var id in ids)
        {
            var row = await session.FindAsync(id);
            if (row is not { Visibility: RowVisibility.Shown } || row.View.IsExpired(session.Now) || !await Access.AllowsAsync(session, context, row.View, Permission.Write))
            {
                continue;
            }

            if (!await Governor.AllowsAsync(session, context, GovernedAction.Forget, row.View.Namespace, row.View))
            {
                denied = true;
                continue;
            }

            await ArchiveAsync(session, await session.FindGroupAsync(row.Own.Name.Value), ArchiveMark.Forgotten);
            archived++;
        }

        return archived > 0 || !denied ? archived : throw Governor.Denied(GovernedAction.Forget, "none of what is left may be forgotten by this caller");
    }

    /// <summary>Puts the rows of a name away, the shown one first.</summary>
    internal static async ValueTask ArchiveAsync(WriteSession session, IReadOnlyList<MemoryRow> group, string reason)
    {
        var mark = new ArchiveMark(session.Now, reason, ActedOn: null);
        foreach (var member in group)
        {
            // The shown id goes with all that it was shown with, so that it comes back with it.
            var own = member == group[0] ? Joint(group) with { CreatedAt = member.Own.CreatedAt } : member.Own;
            var stamp = session.NextStamp();
            await session.PutAsync(own with { Archive = new(mark, stamp), UpdatedAt = Later(member.Own, session.Now) }, stamp);
        }
    }

    private async ValueTask<long> DecideExpireAsync(WriteSession session, IReadOnlyList<string> ids)
    {
        long expired = 0;
        foreach (var id in ids)
        {
            var row = await session.FindAsync(id);
            if (row is { Visibility: RowVisibility.Shown } && row.View.IsExpired(session.Now))
            {
                await ExpireAsync(session, await session.FindGroupAsync(row.Own.Name.Value));
                expired++;
            }
        }

        return expired;
    }

    private async ValueTask ExpireAsync(WriteSession session, IReadOnlyList<MemoryRow> group)
    {
        foreach (var row in group)
        {
            var stamp = session.NextStamp();
            if (!settings.ArchiveOnGc)
            {
                await session.DeleteAsync(new(row.Own.Id, row.Own.Name.Value.Namespace, stamp, session.Now));
                continue;
            }

            // Every node that sees this expiry writes the same mark: the instant and the stamp are those of the expiry itself,
            // but never before the archive that it replaces, else the next merge would bring that one back.
            // Of several ids with one name, those whose own expiry is later go with the shown one.
            var actedOn = row.Own.Expiry.Value is { } own && own <= session.Now ? own : (Timestamp?)null;
            var mark = new ArchiveMark(actedOn ?? group[0].View.ExpiresAt!.Value, ArchiveMark.Expired, actedOn);
            var expired = row.Own.Archive is { } held ? Stamp.Max(row.Own.Expiry.Stamp, held.Stamp) : row.Own.Expiry.Stamp;
            await session.PutAsync(row.Own with { Archive = new(mark, expired) }, stamp);
        }
    }

    /// <summary>The rows of a name, shown first; empty when none is live. One that has expired is put away first.</summary>
    private async ValueTask<IReadOnlyList<MemoryRow>> LiveGroupAsync(WriteSession session, MemoryName name)
    {
        var group = await session.FindGroupAsync(name);
        if (group.Count > 0 && group[0].View.IsExpired(session.Now))
        {
            await ExpireAsync(session, group);
            group = await session.FindGroupAsync(name);
        }

        return group;
    }

    /// <summary>What the rows of a name say together, under the id of the first, which began when it did.</summary>
    private static MemoryState Joint(IReadOnlyList<MemoryRow> group) =>
        group.Skip(1).Aggregate(group[0].Own, static (joint, other) => MemoryMerge.Merge(joint, other.Own with { Id = joint.Id })).Born(group[0].Own.BornAt);

    /// <summary>The rows that share the name of the first of the ids that is live, the shown one first.</summary>
    /// <param name="needed">What the caller must be allowed to do with it; who may only see it is told so.</param>
    internal static async ValueTask<IReadOnlyList<MemoryRow>> FindLiveAsync(
        WriteSession session, IReadOnlyList<string> ids, WriteContext context, string otherwise = "not found", Permission needed = Permission.Write)
    {
        foreach (var id in ids)
        {
            if (await session.FindAsync(id) is { Visibility: not RowVisibility.Archived } row)
            {
                var group = await session.FindGroupAsync(row.Own.Name.Value);
                if (group[0].View.IsExpired(session.Now) || !await Access.AllowsAsync(session, context, group[0].View, Permission.Read))
                {
                    throw new MemoryException(ErrorKind.NotFound, otherwise);
                }

                return await Access.AllowsAsync(session, context, group[0].View, needed)
                    ? group
                    : throw new MemoryException(ErrorKind.Forbidden, "this credential may see the memory, and not change it");
            }
        }

        throw new MemoryException(ErrorKind.NotFound, otherwise);
    }

    internal static ValueTask RefuseTakenAsync(Decision decision, MemoryName name) => decision.Engine.RefuseTakenAsync(decision.Session, name, decision.Context);

    private async ValueTask RefuseTakenAsync(WriteSession session, MemoryName name, WriteContext context)
    {
        if ((await LiveGroupAsync(session, name)) is [var taken, ..])
        {
            var which = await Access.AllowsAsync(session, context, taken.View, Permission.Read) ? $" (memory {taken.View.Id})" : "";
            throw new MemoryException(ErrorKind.TitleTaken, $"title '{name.Title}' already exists in namespace '{name.Namespace}'{which}");
        }
    }

    /// <summary>What a caller may not see it may not write to; that the name is taken cannot be hidden from it.</summary>
    private static async ValueTask RequireSeenAsync(WriteSession session, IReadOnlyList<MemoryRow> group, WriteContext context)
    {
        if (!await Access.AllowsAsync(session, context, group[0].View, Permission.Write))
        {
            throw new MemoryException(ErrorKind.TitleTaken, "the title or the id is that of another agent's memory");
        }
    }

    private static async ValueTask<bool> IsHeldAsync(WriteSession session, string id) =>
        await session.FindAsync(id) is not null || await session.FindTombstoneAsync(id) is not null;

    /// <summary>Writes one change to every id of a name, so that they agree from now on.</summary>
    private static async ValueTask<WriteReceipt> MergeIntoAsync(WriteSession session, IReadOnlyList<MemoryRow> group, Func<Stamp, Func<MemoryState, MemoryState>> change)
    {
        var stamp = default(Stamp);
        foreach (var row in group)
        {
            stamp = session.NextStamp();
            await session.PutAsync(change(stamp)(row.Own), stamp);
        }

        return ReceiptOf(session, (await session.FindAsync(group[0].Own.Id))!, created: false, stamp);
    }

    internal static MemoryState NewState(
        string id,
        MemoryName name,
        MemoryBody body,
        Metadata metadata,
        int priority,
        double confidence,
        Tier tier,
        Timestamp? expiresAt,
        Timestamp createdAt,
        Timestamp updatedAt,
        Stamp stamp,
        long epoch) => new()
        {
            Id = id,
            Name = new(name, stamp),
            Body = new(body, stamp),
            Metadata = new(metadata, stamp),
            Priority = new(priority, stamp),
            Confidence = new(confidence, stamp),
            Tier = tier,
            Expiry = new(expiresAt, stamp),
            CreatedAt = createdAt,
            UpdatedAt = updatedAt,
            CreatedEpoch = epoch,
        };

    /// <summary>A store of a title that exists: text replaced, priority and confidence the larger, the tier never lower, a long memory without end.</summary>
    private MemoryState Upsert(MemoryState state, Memory view, MemoryDraft draft, Timestamp now, Stamp stamp)
    {
        var tier = (Tier)Math.Max((int)view.Tier, (int)draft.Tier);
        return state with
        {
            Body = new(new(draft.Content, draft.Tags, draft.Source), stamp),
            Metadata = new(KeepAuthor(draft.Metadata, view.Metadata), stamp),
            Priority = new(Math.Max(state.Priority.Value, draft.Priority), stamp),
            Confidence = new(Math.Max(view.Confidence, draft.Confidence), stamp),
            Tier = tier,
            Expiry = new(tier == Tier.Long ? null : settings.Lifetimes.ExpiryOf(draft, now) ?? view.ExpiresAt, stamp),
            UpdatedAt = Later(state, now),
        };
    }

    /// <summary>The update time of a change made now: above the one that the row has, also when that is of a clock ahead of this one.</summary>
    internal static Timestamp Later(MemoryState state, Timestamp now) => now > state.UpdatedAt ? now : new(state.UpdatedAt.Nanoseconds + 1_000);

    private static MemoryState Import(MemoryState state, Memory memory, Stamp stamp) => state with
    {
        Name = state.Name.Value == new MemoryName(memory.Namespace, memory.Title) ? state.Name : new(new(memory.Namespace, memory.Title), stamp),
        Body = new(new(memory.Content, memory.Tags, memory.Source), stamp),
        Metadata = new(KeepAuthor(memory.Metadata, state.Metadata.Value), stamp),
        Priority = new(Math.Max(state.Priority.Value, memory.Priority), stamp),
        Confidence = new(Math.Max(state.Confidence.Value, memory.Confidence), stamp),
        Tier = (Tier)Math.Max((int)state.Tier, (int)memory.Tier),
        Expiry = new(state.Tier == Tier.Long || memory.Tier == Tier.Long ? null : memory.ExpiresAt ?? state.Expiry.Value, stamp),
        UpdatedAt = memory.UpdatedAt > state.UpdatedAt ? memory.UpdatedAt : state.UpdatedAt,
    };

    private MemoryState Patch(MemoryState state, Memory view, MemoryPatch patch, MemoryName name, Timestamp now, Stamp stamp)
    {
        var tier = patch.Tier is { } asked && asked > view.Tier ? asked : view.Tier;
        var expiry = state.Expiry;
        if (patch.ClearExpiry)
        {
            expiry = new(null, stamp);
        }
        else if (patch.ExpiresAt is { } text)
        {
            expiry = new(MemoryRules.Instant("expires_at", text), stamp);
        }
        else if (tier > view.Tier)
        {
            // A longer tier never ends a life sooner.
            var raised = settings.Lifetimes.ExpiryOf(tier, now);
            expiry = new(MemoryMerge.Compare(raised, view.ExpiresAt) > 0 ? raised : view.ExpiresAt, stamp);
        }

        return state with
        {
            Name = name == state.Name.Value ? state.Name : new(name, stamp),
            Body = patch.Content is null && patch.Tags is null ? state.Body : new(new(patch.Content ?? view.Content, patch.Tags ?? view.Tags, view.Source), stamp),
            Metadata = patch.Metadata is null ? state.Metadata : new(KeepAuthor(patch.Metadata, view.Metadata), stamp),
            Priority = patch.Priority is null ? state.Priority : new(patch.Priority.Value, stamp),
            Confidence = patch.Confidence is null ? state.Confidence : new(patch.Confidence.Value, stamp),
            Tier = patch.Tier is null ? state.Tier : tier,
            Expiry = expiry,
            UpdatedAt = Later(state, now),
        };
    }

    /// <summary>The author of the first write stays.</summary>
    private static Metadata KeepAuthor(Metadata metadata, Metadata held) => held.Text("agent_id") is not { } author ? metadata
        : held.Text(AgentIdentity.Key) is { } identity ? metadata.With("agent_id", author).With(AgentIdentity.Key, identity)
        : metadata.Text(AgentIdentity.Key) is null ? metadata.With("agent_id", author)
        : metadata.With("agent_id", author).With(AgentIdentity.Key, null);

    private static void RequireVersion(MemoryRow row, WriteContext context) => RequireVersion(row, context.IfMatch);

    /// <param name="wanted">Null and <c>*</c>: any.</param>
    internal static void RequireVersion(MemoryRow row, string? wanted)
    {
        if (wanted is not null && wanted != "*" && wanted != VersionOf(row.Own))
        {
            throw new MemoryException(ErrorKind.PreconditionFailed, "the memory has changed since the given version; read it again");
        }
    }

    internal static WriteReceipt ReceiptOf(WriteSession session, MemoryRow row, bool created, Stamp stamp) =>
        new(row.View, created, session.Position, stamp, VersionOf(row.Own));

    internal static string VersionOf(MemoryState state)
    {
        var newest = state.NewestStamp;
        return $"{newest.Clock:x}-{newest.Log.Incarnation:x}";
    }

    internal static MemoryException NotFound() => new(ErrorKind.NotFound, "not found");

    /// <summary>Of everything that the caller said but who it is: that is part of the derived id.</summary>
    private static string HashOf(MemoryDraft draft)
    {
        var text = string.Join('\0', draft.Namespace, draft.Title, draft.Content, draft.Tier.Name(), string.Join('\u0001', draft.Tags), draft.Priority,
            draft.Confidence.ToString("R", System.Globalization.CultureInfo.InvariantCulture), draft.Source, draft.ExpiresAt, draft.TtlSeconds,
            draft.Metadata.With("agent_id", null).Json);
        return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)));
    }
}
