using OrleansMemory.Core.Governance;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Core.Curation;

/// <summary>Brings an archived memory back, long-lived and without an end.</summary>
public sealed record RestoreCommand(string Id) : NamespaceCommand
{
    internal override ReadHints Hints => ReadHints.OfMemory(Id);

    internal override async ValueTask<CommandResult> DecideAsync(Decision decision)
    {
        var session = decision.Session;
        if (await session.FindAsync(Id) is not { } row || !await Access.AllowsAsync(session, decision.Context, row.View, Permission.Write))
        {
            throw Archive.NotFound();
        }

        if (row.Visibility != RowVisibility.Archived)
        {
            throw new MemoryException(ErrorKind.AlreadyExists, $"the memory {Id} is live");
        }

        await Governor.RequireAsync(session, decision.Context, GovernedAction.Restore, row.View.Namespace, row.View);
        await NamespaceEngine.RefuseTakenAsync(decision, row.Own.Name.Value);
        var stamp = session.NextStamp();
        var restored = await session.PutAsync(
            row.Own with { Archive = new(null, stamp), Tier = Tier.Long, Expiry = new(null, stamp), UpdatedAt = NamespaceEngine.Later(row.Own, session.Now) }, stamp);
        return decision.Done() with { Memory = NamespaceEngine.ReceiptOf(session, restored, created: false, stamp) };
    }
}

/// <summary>Deletes those of the given memories for good that are still archived since an instant or longer.</summary>
public sealed record PurgeCommand(IReadOnlyList<string> Ids, Timestamp ArchivedUntil) : NamespaceCommand
{
    internal override ReadHints Hints => new(Ids, [], []);

    internal override async ValueTask<CommandResult> DecideAsync(Decision decision)
    {
        var session = decision.Session;
        long purged = 0;
        foreach (var id in Ids)
        {
            if (await session.FindAsync(id) is { Visibility: RowVisibility.Archived, Own: var own, View: var view } && own.Archive!.Value.Value!.At <= ArchivedUntil
                && await Governor.AllowsAsync(session, decision.Context, GovernedAction.Purge, own.Name.Value.Namespace, view))
            {
                await session.DeleteAsync(new(id, own.Name.Value.Namespace, session.NextStamp(), session.Now));
                purged++;
            }
        }

        return decision.Done(count: purged);
    }
}
