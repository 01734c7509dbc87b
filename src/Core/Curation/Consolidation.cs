using System.Text.Json.Nodes;
using OrleansMemory.Core.Governance;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Core.Curation;

/// <summary>Several memories to be told as one.</summary>
/// <param name="Ids">2 to 100, each once; exact.</param>
/// <param name="Summary">The content of the new memory.</param>
/// <param name="Tier">Never below that of any of them.</param>
public sealed record ConsolidationDraft(
    IReadOnlyList<string> Ids, string Title, string Summary, string Namespace = ClosedSets.DefaultNamespace, Tier Tier = Tier.Long, string Source = "consolidation")
{
    public const int FewestMemories = 2;
    public const int MostMemories = 100;

    /// <exception cref="MemoryException"/>
    public ConsolidationDraft Check()
    {
        foreach (var id in Ids)
        {
            MemoryRules.Id(id);
        }

        return Ids.Count switch
        {
            < FewestMemories => throw new MemoryException(ErrorKind.InvalidConsolidation, $"need at least {FewestMemories} memories to consolidate"),
            > MostMemories => throw new MemoryException(ErrorKind.InvalidConsolidation, $"cannot consolidate more than {MostMemories} memories"),
            _ when Ids.Distinct(StringComparer.Ordinal).Count() != Ids.Count => throw new MemoryException(ErrorKind.InvalidConsolidation, "duplicate memory ID"),
            _ => this with
            {
                Title = MemoryRules.Title(Title),
                Summary = MemoryRules.Content(Summary),
                Namespace = MemoryRules.Namespace(Namespace),
                Source = MemoryRules.Source(Source),
            },
        };
    }
}

/// <summary>What a curation did, and whether it was undone.</summary>
/// <param name="ResultId">The memory that it made, or the one that it changed.</param>
/// <param name="SourceIds">The memories that it put away, or the one that it changed.</param>
/// <param name="RunId">The run of the curator that did it; null: somebody asked for this alone.</param>
public sealed record CurationRecord(
    string Id, string Action, string Namespace, string ResultId, IReadOnlyList<string> SourceIds, string By, Timestamp At, Timestamp? UndoneAt, string? RunId = null)
{
    public static CurationRecord Of(EntryState entry)
    {
        var body = EntryBodies.Decode(entry.Body, EntryJson.Default.CurationBody);
        return new(entry.Key.Key, body.Action, entry.Owner, body.ResultId, body.SourceIds, body.By, new(body.At), body.UndoneAt is { } at ? new(at) : null, body.Run);
    }
}

/// <summary>
/// Makes one memory of several, in one transaction: the sources are archived whole, the new memory takes over their links, and a record says how to undo it.
/// </summary>
/// <param name="Links">Keys of the links that the sources are known to have.</param>
/// <param name="Versions">Of each source, as it was when the summary was made; null: whatever they are now.</param>
/// <param name="Run">Of the curator, which speaks for the one author whom the sources have; null: the caller is the author.</param>
public sealed record ConsolidateCommand(ConsolidationDraft Draft, IReadOnlyList<string> Links, IReadOnlyList<string>? Versions = null, string? Run = null) : NamespaceCommand
{
    internal override ReadHints Hints => new(Draft.Ids, [], [.. Links.Select(static key => new EntryKey(MutationKind.Link, key))]);

    internal override async ValueTask<CommandResult> DecideAsync(Decision decision)
    {
        var (session, context) = (decision.Session, decision.Context);
        var sources = new List<IReadOnlyList<MemoryRow>>(Draft.Ids.Count);
        for (var at = 0; at < Draft.Ids.Count; at++)
        {
            var group = await NamespaceEngine.FindLiveAsync(session, [Draft.Ids[at]], context, $"memory not found: {Draft.Ids[at]}");
            NamespaceEngine.RequireVersion(group[0], Versions?[at]);
            if (sources.TrueForAll(known => known[0].Own.Id != group[0].Own.Id))
            {
                sources.Add(group);
            }
        }

        foreach (var source in sources)
        {
            await Governor.RequireAsync(session, context, GovernedAction.Consolidate, source[0].View.Namespace, source[0].View);
        }

        await Governor.RequireAsync(session, context, GovernedAction.Store, Draft.Namespace, subject: null);
        foreach (var source in sources)
        {
            await NamespaceEngine.ArchiveAsync(session, source, ArchiveMark.Consolidated);
        }

        var name = new MemoryName(Draft.Namespace, Draft.Title);
        await NamespaceEngine.RefuseTakenAsync(decision, name);
        var views = sources.ConvertAll(static source => source[0].View);
        var resultId = session.NewId();
        session.DeclareNew(resultId);
        var stamp = session.NextStamp();
        var tier = (Tier)Math.Max((int)Draft.Tier, views.Max(static view => (int)view.Tier));
        await session.PutAsync(
            NamespaceEngine.NewState(
                resultId,
                name,
                new(Draft.Summary, [.. views.SelectMany(static view => view.Tags).Distinct(StringComparer.Ordinal).Take(MemoryLimits.Tags)], Draft.Source),
                MetadataOf(views, context),
                Math.Max(MessagePriority, views.Max(static view => view.Priority)),
                confidence: 1.0,
                tier,
                decision.Engine.ExpiryOf(tier, session.Now),
                session.Now,
                session.Now,
                stamp,
                session.Epoch),
            stamp);
        await NamespaceEngine.RaiseAccessAsync(session, resultId, Math.Min(views.Sum(static view => view.AccessCount), MemoryLimits.MaxAccessCount), views.Max(static view => view.LastAccessedAt));
        var taken = await TakeLinksAsync(decision, [.. sources.SelectMany(static source => source.Select(static row => row.Own.Id))], resultId);
        foreach (var view in views)
        {
            await LinkAsync(decision, resultId, "derived_from", view.Id, session.Now.Nanoseconds);
        }

        var body = new CurationBody(
            CurationBody.Consolidate, resultId, views.ConvertAll(static view => view.Id), [.. sources.SelectMany(static source => source.Select(static row => row.Own.Id))], taken,
            context.AgentId ?? $"{AgentIdentity.AnonymousPrefix}caller", session.Now.Nanoseconds, UndoneAt: null, Run);
        var record = await decision.PutAsync(EntryBodies.CurationKey(session.NewId()), decision.Namespace, body, EntryJson.Default.CurationBody);
        var result = (await session.FindAsync(resultId))!;
        return decision.Done(record, views.Count) with { Memory = NamespaceEngine.ReceiptOf(session, result, created: true, stamp) };
    }

    /// <summary>What a memory of no particular weight has.</summary>
    private const int MessagePriority = 5;

    private Metadata MetadataOf(List<Memory> views, WriteContext context)
    {
        var fields = new JsonObject
        {
            ["derived_from"] = new JsonArray([.. views.Select(static view => (JsonNode)view.Id)]),
            ["consolidated_from_agents"] = new JsonArray([.. views.Select(static view => view.Metadata.Text("agent_id")).OfType<string>().Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal)
                .Select(static agent => (JsonNode)agent)]),
        };

        // As narrow as the narrowest of them: what was private does not become public by being told with others.
        var scope = views.Select(static view => view.Metadata.Text("scope")).MinBy(static scope => Visibility.ScopeOf(scope));
        var metadata = Metadata.Parse(fields.ToJsonString()).With("scope", scope);
        return Run is null
            ? AgentIdentity.Mark(metadata.With("agent_id", context.AgentId), context.Principal)
            : metadata.With("agent_id", views[0].Metadata.Text("agent_id")).With(AgentIdentity.Key, views[0].Metadata.Text(AgentIdentity.Key));
    }

    /// <summary>Links of the sources to and from others are the new memory's too; those between sources are told within it.</summary>
    private async ValueTask<List<string>> TakeLinksAsync(Decision decision, HashSet<string> ids, string resultId)
    {
        var taken = new List<string>();
        foreach (var key in Links)
        {
            if (await decision.Session.FindEntryAsync(new(MutationKind.Link, key)) is not { Live: true } entry)
            {
                continue;
            }

            var link = EntryBodies.Link(entry);
            var (source, target) = (ids.Contains(link.SourceId) ? resultId : link.SourceId, ids.Contains(link.TargetId) ? resultId : link.TargetId);
            if (source != target && (source == resultId) != (target == resultId))
            {
                taken.Add(await LinkAsync(decision, source, link.Relation, target, link.CreatedAt.Nanoseconds));
            }
        }

        return taken;
    }

    private static async ValueTask<string> LinkAsync(Decision decision, string source, string relation, string target, long createdAt)
    {
        var key = EntryBodies.LinkKey(source, relation, target);
        await decision.PutAsync(key, source, new LinkBody(createdAt), EntryJson.Default.LinkBody, target);
        return key.Key;
    }
}

/// <summary>
/// Undoes a curation: the sources are live again as they were, and what was made of them is archived; a priority is what it was, unless it was set since.
/// </summary>
/// <param name="Ids">The memories that the record names.</param>
public sealed record UndoCurationCommand(string Id, IReadOnlyList<string> Ids) : NamespaceCommand
{
    internal override ReadHints Hints => new(Ids, [], [EntryBodies.CurationKey(Id)]);

    internal override async ValueTask<CommandResult> DecideAsync(Decision decision)
    {
        var (session, context) = (decision.Session, decision.Context);
        var key = EntryBodies.CurationKey(Id);
        var record = await decision.FindAsync(key, EntryJson.Default.CurationBody) ?? throw new MemoryException(ErrorKind.NotFound, $"no curation {Id}");
        if (record.UndoneAt is not null)
        {
            return decision.Done(await session.FindEntryAsync(key), count: 0);
        }

        if (record.Action == CurationBody.AdjustPriority)
        {
            var changed = await UndoPriorityAsync(decision, record);
            return decision.Done(await decision.PutAsync(key, decision.Namespace, record with { UndoneAt = session.Now.Nanoseconds }, EntryJson.Default.CurationBody), changed);
        }

        if (record.Action == CurationBody.Consolidate && await session.FindAsync(record.ResultId) is { Visibility: not RowVisibility.Archived } result)
        {
            if (!await Access.AllowsAsync(session, context, result.View, Permission.Write))
            {
                throw new MemoryException(ErrorKind.NotFound, $"no curation {Id}");
            }

            await Governor.RequireAsync(session, context, GovernedAction.Restore, result.View.Namespace, result.View);
            await NamespaceEngine.ArchiveAsync(session, await session.FindGroupAsync(result.Own.Name.Value), ArchiveMark.Forgotten);
        }

        long restored = 0;
        foreach (var id in record.ArchivedIds)
        {
            if (await session.FindAsync(id) is not { Visibility: RowVisibility.Archived } row || !IsMarkOf(record, row.Own.Archive?.Value))
            {
                // Deleted since, or brought back on its own, or put away again.
                continue;
            }

            if (!await Access.AllowsAsync(session, context, row.View, Permission.Write))
            {
                throw new MemoryException(ErrorKind.NotFound, $"no curation {Id}");
            }

            await Governor.RequireAsync(session, context, GovernedAction.Restore, row.View.Namespace, row.View);
            if (!(await session.FindGroupAsync(row.Own.Name.Value)).Any(member => record.ArchivedIds.Contains(member.Own.Id)))
            {
                await NamespaceEngine.RefuseTakenAsync(decision, row.Own.Name.Value);
            }

            var stamp = session.NextStamp();
            await session.PutAsync(row.Own with { Archive = new(null, stamp), UpdatedAt = NamespaceEngine.Later(row.Own, session.Now) }, stamp);
            restored++;
        }

        foreach (var link in record.TakenLinks)
        {
            if (await session.FindEntryAsync(new(MutationKind.Link, link)) is { Live: true } entry)
            {
                await session.PutAsync(entry with { Live = false, Stamp = session.NextStamp() });
            }
        }

        return decision.Done(await decision.PutAsync(key, decision.Namespace, record with { UndoneAt = session.Now.Nanoseconds }, EntryJson.Default.CurationBody), restored);
    }

    private static bool IsMarkOf(CurationBody record, ArchiveMark? mark) => record.Action == CurationBody.Consolidate
        ? mark is { Reason: ArchiveMark.Consolidated }
        : mark is { Reason: ArchiveMark.Forgotten } && mark.At.Nanoseconds == record.At;

    private async ValueTask<long> UndoPriorityAsync(Decision decision, CurationBody record)
    {
        var (session, context) = (decision.Session, decision.Context);
        if (await session.FindAsync(record.ResultId) is not { Visibility: not RowVisibility.Archived } row)
        {
            return 0;
        }

        if (!await Access.AllowsAsync(session, context, row.View, Permission.Write))
        {
            throw new MemoryException(ErrorKind.NotFound, $"no curation {Id}");
        }

        await Governor.RequireAsync(session, context, GovernedAction.Update, row.View.Namespace, row.View);
        if (row.Own.Priority.Value != record.PriorityAfter || record.PriorityBefore is not { } before)
        {
            return 0;
        }

        await AdjustPriorityCommand.SetAsync(session, await session.FindGroupAsync(row.Own.Name.Value), before);
        return 1;
    }
}
