using OrleansMemory.Core.Governance;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Core.Curation;

/// <summary>
/// Settles which of two memories holds: a link <c>supersedes</c> from it to the other, which keeps the least priority and little confidence,
/// and an access of the one that holds. All in one transaction; again, it only counts another access.
/// </summary>
public sealed record SupersedeCommand(string WinnerId, string LoserId) : NamespaceCommand
{
    private const string Relation = "supersedes";
    private const double LoserConfidence = 0.1;

    private EntryKey Link => EntryBodies.LinkKey(WinnerId, Relation, LoserId);

    internal override ReadHints Hints => new([WinnerId, LoserId], [], [Link]);

    internal override async ValueTask<CommandResult> DecideAsync(Decision decision)
    {
        var (session, engine, context) = (decision.Session, decision.Engine, decision.Context);
        await engine.DecideLinkAsync(session, Link, WinnerId, LoserId, createdAt: null, context);
        var loser = await NamespaceEngine.FindLiveAsync(session, [LoserId], context);

        // Asked here without a request that could wait: half of this must not be carried out later.
        await Governor.RequireAsync(session, context, GovernedAction.Update, loser[0].View.Namespace, loser[0].View);
        session.WritesTo(loser[0].View.Namespace);
        var receipt = await engine.DecideUpdateAsync(
            session, loser, new MemoryPatch { Priority = MemoryLimits.MinPriority, Confidence = LoserConfidence }, GovernedAction.Update, context with { IfMatch = null });
        var winner = await NamespaceEngine.FindLiveAsync(session, [WinnerId], context);
        await NamespaceEngine.RaiseAccessAsync(session, winner[0].View.Id, by: 1, session.Now);
        return decision.Done() with { Memory = receipt };
    }
}
