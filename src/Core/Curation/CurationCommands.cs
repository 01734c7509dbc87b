using OrleansMemory.Core.Governance;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Core.Curation;

/// <summary>Archives a memory that another one contradicts, and records how to undo it, unless it has changed since it was looked at.</summary>
/// <param name="Version">As the curator saw it.</param>
/// <param name="Run">Of the curator.</param>
public sealed record RetireCommand(string Id, string Version, string Run) : NamespaceCommand
{
    internal override ReadHints Hints => ReadHints.OfMemory(Id);

    internal override async ValueTask<CommandResult> DecideAsync(Decision decision)
    {
        var (session, context) = (decision.Session, decision.Context);
        var group = await NamespaceEngine.FindLiveAsync(session, [Id], context);
        NamespaceEngine.RequireVersion(group[0], Version);
        await Governor.RequireAsync(session, context, GovernedAction.Forget, group[0].View.Namespace, group[0].View);
        await NamespaceEngine.ArchiveAsync(session, group, ArchiveMark.Forgotten);
        var body = new CurationBody(
            CurationBody.Forget, group[0].View.Id, [group[0].View.Id], [.. group.Select(static row => row.Own.Id)], [], context.AgentId!, session.Now.Nanoseconds, UndoneAt: null, Run);
        return decision.Done(await decision.PutAsync(EntryBodies.CurationKey(session.NewId()), decision.Namespace, body, EntryJson.Default.CurationBody));
    }
}

/// <summary>
/// Moves the priority of a memory by one, and records how to undo it, unless it has changed since it was looked at. Its update time stays: nobody said
/// anything new.
/// </summary>
/// <param name="By">1 or -1.</param>
public sealed record AdjustPriorityCommand(string Id, string Version, int By, string Run) : NamespaceCommand
{
    internal override ReadHints Hints => ReadHints.OfMemory(Id);

    internal override async ValueTask<CommandResult> DecideAsync(Decision decision)
    {
        var (session, context) = (decision.Session, decision.Context);
        var group = await NamespaceEngine.FindLiveAsync(session, [Id], context);
        NamespaceEngine.RequireVersion(group[0], Version);
        await Governor.RequireAsync(session, context, GovernedAction.Update, group[0].View.Namespace, group[0].View);
        var before = group[0].Own.Priority.Value;
        var after = Math.Clamp(before + By, MemoryLimits.MinPriority, MemoryLimits.MaxPriority);
        await SetAsync(session, group, after);
        var body = new CurationBody(
            CurationBody.AdjustPriority, group[0].View.Id, [group[0].View.Id], [], [], context.AgentId!, session.Now.Nanoseconds, UndoneAt: null, Run, before, after);
        return decision.Done(await decision.PutAsync(EntryBodies.CurationKey(session.NewId()), decision.Namespace, body, EntryJson.Default.CurationBody));
    }

    internal static async ValueTask SetAsync(WriteSession session, IReadOnlyList<MemoryRow> group, int priority)
    {
        foreach (var row in group)
        {
            var stamp = session.NextStamp();
            await session.PutAsync(row.Own with { Priority = new(priority, stamp) }, stamp);
        }
    }
}
