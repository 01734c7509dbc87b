using OrleansMemory.Core;
using OrleansMemory.Core.Governance;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Compliance;

public abstract partial class StoreCompliance
{
    [Fact]
    public async Task What_was_forgotten_is_listed_comes_back_whole_or_is_purged()
    {
        var time = new ManualTime();
        await using var node = await NodeAsync(time);
        var drafts = new List<Memory>();
        foreach (var (title, name) in ((string, string)[])[("a", "x"), ("b", "x"), ("c", "y")])
        {
            drafts.Add((await node.StoreAsync(Draft(title) with { Namespace = name, Tags = ["t"], Metadata = Metadata.Parse("""{"k":[1]}"""), AgentId = "alice" }, Alice)).Memory);
            time.Advance(TimeSpan.FromSeconds(10));
            await node.ForgetAsync(new(name, title, null), Alice);
        }

        Assert.Equal(["c", "b", "a"], (await node.Node.ArchivedAsync(new())).Select(row => row.Memory.Title));
        Assert.Equal(["a"], (await node.Node.ArchivedAsync(new("x", Limit: 1, Offset: 1))).Select(row => row.Memory.Title));
        Assert.All(await node.Node.ArchivedAsync(new()), row => Assert.Equal(ArchiveMark.Forgotten, row.Reason));
        var counted = await node.Node.ArchiveStatisticsAsync();
        Assert.Equal(3, counted.Total);
        Assert.Equal([new("x", 2), new("y", 1)], counted.ByNamespace);

        var back = (await node.Node.RestoreAsync(drafts[0].Id, Alice)).Memory;
        AssertEqual(drafts[0] with { Tier = Tier.Long, ExpiresAt = null, UpdatedAt = back.UpdatedAt }, back);
        AssertEqual(back, (await node.GetAsync(drafts[0].Id)).Memory);
        Assert.Equal(ErrorKind.AlreadyExists, (await Assert.ThrowsAsync<MemoryException>(() => node.Node.RestoreAsync(drafts[0].Id, Alice))).Kind);
        await node.StoreAsync(Draft("b") with { Namespace = "x" }, Alice);
        Assert.Equal(ErrorKind.TitleTaken, (await Assert.ThrowsAsync<MemoryException>(() => node.Node.RestoreAsync(drafts[1].Id, Alice))).Kind);

        time.Advance(TimeSpan.FromDays(2));
        await node.ForgetAsync(new("x", "a", null), Alice);
        Assert.Equal(2, await node.Node.PurgeAsync(1, Alice));
        Assert.Equal(["a"], (await node.Node.ArchivedAsync(new())).Select(row => row.Memory.Title));
        Assert.Equal(1, await node.Node.PurgeAsync(null, Alice));
        await AssertNotFoundAsync(() => node.Node.RestoreAsync(drafts[0].Id, Alice));
        await AssertSoundAsync(node);
    }

    [Fact]
    public async Task A_memory_of_two_ids_comes_back_as_it_was_shown()
    {
        await using var a = await NodeAsync(nodeId: "a");
        await using var b = await NodeAsync(nodeId: "b");
        await a.StoreAsync(Draft("same") with { Content = "from a", Priority = 9 }, Alice);
        await b.StoreAsync(Draft("same") with { Content = "from b", Priority = 2 }, Alice);
        await a.Replica.ApplyAsync(await b.Store.ReadLogAsync(0, 100, int.MaxValue));
        var shown = Assert.Single((await a.ListAsync(new())).Memories);
        Assert.Equal(1, await a.ForgetAsync(new(shown.Namespace, null, null), Alice));
        var back = (await a.Node.RestoreAsync(shown.Id, Alice)).Memory;
        AssertEqual(shown with { Tier = Tier.Long, ExpiresAt = null, UpdatedAt = back.UpdatedAt }, back);
        await AssertSoundAsync(a);
    }

    [Fact]
    public async Task Agents_register_once_and_are_seen_again()
    {
        var time = new ManualTime();
        await using var node = await NodeAsync(time);
        var first = await node.Node.RegisterAgentAsync("bob", "ai:test", ["read"], new());
        time.Advance(TimeSpan.FromMinutes(1));
        await node.Node.RegisterAgentAsync("alice", "human", [], new());
        var again = await node.Node.RegisterAgentAsync("bob", "ai:test", ["read", "write"], new());
        Assert.Equal((first.Id, first.RegisteredAt), (again.Id, again.RegisteredAt));
        Assert.True(again.LastSeenAt > first.LastSeenAt);
        Assert.Equal(["bob", "alice"], (await node.Node.AgentsAsync()).Select(agent => agent.AgentId));
        Assert.Equal(["read", "write"], (await node.Node.AgentsAsync())[0].Capabilities);
    }

    [Fact]
    public async Task Standards_hold_along_their_chain()
    {
        await using var node = await NodeAsync();
        foreach (var (name, parent) in ((string, string?)[])[("*", null), ("company", null), ("a", "company"), ("a/b", null), ("a/b/c", null), ("team", null), ("team-x", null)])
        {
            var id = (await node.StoreAsync(Draft($"rules of {name}") with { Namespace = name == "*" ? "all" : name }, Alice)).Memory.Id;
            await node.Node.SetStandardAsync(name, id, parent, null, Alice);
        }

        Assert.Equal(["*", "company", "a", "a/b", "a/b/c"], (await node.Node.StandardChainAsync("a/b/c")).Chain);
        Assert.Equal(["*", "team", "team-x-y"], (await node.Node.StandardChainAsync("team-x-y")).Chain.Where(name => name != "team-x"));
        Assert.Equal(["rules of *", "rules of company", "rules of a"], (await node.Node.StandardChainAsync("a")).Standards.Select(standard => standard.Memory!.Title));

        // Parents that name each other end.
        await node.Node.SetStandardAsync("company", (await node.Node.StandardAsync("company")).StandardId!, "a", null, Alice);
        Assert.Equal(["*", "company", "a"], (await node.Node.StandardChainAsync("a")).Chain);
        Assert.True(await node.Node.ClearStandardAsync("a/b", Alice));
        Assert.False(await node.Node.ClearStandardAsync("a/b", Alice));
        Assert.Equal(["rules of *", "rules of company", "rules of a", "rules of a/b/c"], (await node.Node.StandardChainAsync("a/b/c")).Standards.Select(standard => standard.Memory!.Title));
        Assert.Equal(ErrorKind.NotFound, (await Assert.ThrowsAsync<MemoryException>(() => node.Node.SetStandardAsync("a", "nobody", null, null, Alice))).Kind);
        var session = await node.Node.StartSessionAsync("a", 10);
        Assert.Equal(3, session.Standards.Count);
        Assert.Empty(session.Memories);
    }

    /// <summary>Whatever a node can be asked to change: the log carries it, and another node that replays it has the same.</summary>
    [Fact]
    public async Task Every_kind_of_change_replays_to_the_same_digest()
    {
        await using var source = await NodeAsync(nodeId: "source");
        await ChangeEverythingAsync(source.Node);
        await using var target = await NodeAsync(nodeId: "target");
        for (var after = 0L; await source.Store.ReadLogAsync(after, rows: 7, bytes: 20_000) is { Count: > 0 } page; after = page[^1].Position.Sequence)
        {
            Assert.All(await target.Replica.ApplyAsync(page), outcome => Assert.Equal(ApplyOutcome.Applied, outcome));
        }

        Assert.Equal(await source.Store.ReadDigestsAsync(), await target.Store.ReadDigestsAsync());
        Assert.Equal((await source.Node.ArchivedAsync(new())).Select(row => row.Memory.Id), (await target.Node.ArchivedAsync(new())).Select(row => row.Memory.Id));
        Assert.Equal((await source.Node.AgentsAsync()).Select(agent => agent.AgentId), (await target.Node.AgentsAsync()).Select(agent => agent.AgentId));
        Assert.Equal((await source.Node.StandardChainAsync("team/a")).Chain, (await target.Node.StandardChainAsync("team/a")).Chain);
        Assert.Equal((await source.Node.PendingAsync(null, 10)).Select(action => (action.Id, action.Status)), (await target.Node.PendingAsync(null, 10)).Select(action => (action.Id, action.Status)));
        var subscription = Assert.Single(await target.Node.SubscriptionsAsync("alice"));
        Assert.Equal((2, 3, 1), (subscription.Delivered, subscription.Dead, subscription.DeadLetters.Count));
        var inbox = await target.Node.InboxAsync(new("bob"), new());
        Assert.Equal((2, 1), (inbox.Messages.Count, inbox.Unread));
        await AssertSoundAsync(target);
    }

    [Fact]
    public async Task Messages_of_one_subject_stay_apart_and_are_read_once()
    {
        var time = new ManualTime();
        await using var node = await NodeAsync(time);
        var ids = new List<string>();
        foreach (var (text, priority, tier) in ((string, int, Tier)[])[("one", 5, Tier.Mid), ("two", 5, Tier.Long), ("now", 9, Tier.Short)])
        {
            ids.Add((await node.Node.NotifyAsync(new("bob/at:home", "same", text, priority, tier), Alice)).Id);
            time.Advance(TimeSpan.FromSeconds(1));
        }

        var inbox = await node.Node.InboxAsync(new("bob/at:home"), new());
        Assert.Equal(["now", "two", "one"], inbox.Messages.Select(message => message.Text));
        Assert.All(inbox.Messages, message => Assert.Equal(("same", "alice"), (message.Subject, message.From)));
        Assert.Equal(1, await node.Node.ReadMessagesAsync("bob/at:home", [ids[1], "nobody"], take: false, Bob));
        Assert.Equal(0, await node.Node.ReadMessagesAsync("bob/at:home", [ids[1]], take: false, Bob));
        Assert.Equal(0, await node.Node.ReadMessagesAsync("eve", [ids[0]], take: true, Eve));
        inbox = await node.Node.InboxAsync(new(null, UnreadOnly: true, Limit: 1), new("bob/at:home"));
        Assert.Equal(("now", 2), (Assert.Single(inbox.Messages).Text, inbox.Unread));

        // They end as memories of their tier do, and are taken away then.
        time.Advance(TimeSpan.FromHours(7));
        Assert.Equal(["two", "one"], (await node.Node.InboxAsync(new("bob/at:home"), new())).Messages.Select(message => message.Text));
        await node.CollectGarbageAsync();
        time.Advance(TimeSpan.FromDays(-1));
        Assert.Equal(2, (await node.Node.InboxAsync(new("bob/at:home"), new())).Messages.Count);

        // A repetition is one message, also when it was taken away.
        var keyed = new WriteContext("alice", IdempotencyKey: "k");
        var first = await node.Node.NotifyAsync(new("carol", "s", "t"), keyed);
        Assert.Equal(first.Id, (await node.Node.NotifyAsync(new("carol", "s", "t"), keyed)).Id);
        Assert.Single((await node.Node.InboxAsync(new("carol"), new())).Messages);
        await AssertSoundAsync(node);
    }

    [Fact]
    public async Task A_consolidation_keeps_everything_and_is_undone_whole()
    {
        await using var node = await NodeAsync();
        var sources = new List<Memory>();
        foreach (var (title, priority, tier, scope) in ((string, int, Tier, string)[])[("a", 3, Tier.Mid, "team"), ("b", 9, Tier.Short, "private"), ("c", 4, Tier.Mid, "team")])
        {
            sources.Add((await node.StoreAsync(Draft(title) with { Priority = priority, Tier = tier, Tags = ["common", title], AgentId = title == "c" ? "carol" : "alice", Scope = scope }, Alice)).Memory);
        }

        var outside = (await node.StoreAsync(Draft("outside"), Alice)).Memory.Id;
        await node.LinkAsync(sources[0].Id, outside, "supersedes", Alice);
        await node.LinkAsync(outside, sources[1].Id, "related_to", Alice);
        await node.LinkAsync(sources[0].Id, sources[1].Id, "related_to", Alice);
        var before = await node.LinksAsync(outside);

        var done = await node.Node.ConsolidateAsync(new([.. sources.Select(source => source.Id)], "a", "all of it", "test", Tier.Mid), Alice);
        var made = (await node.GetAsync(done.Receipt.Memory.Id)).Memory;
        Assert.Equal((3, "a", "all of it", 9, 1.0, Tier.Mid), (done.Count, made.Title, made.Content, made.Priority, made.Confidence, made.Tier));
        Assert.Equal(["common", "a", "b", "c"], made.Tags);
        Assert.Equal("private", made.Metadata.Text("scope"));
        Assert.Contains("\"consolidated_from_agents\":[\"alice\",\"carol\"]", made.Metadata.Json);
        Assert.Equal(2, (await node.ListAsync(new())).Memories.Count);
        Assert.Equal(new[] { (made.Id, "supersedes", outside), (outside, "related_to", made.Id) }.Order(), (await node.LinksAsync(outside)).Select(link => (link.SourceId, link.Relation, link.TargetId)).Order());
        Assert.All(await node.Node.ArchivedAsync(new()), row => Assert.Equal(ArchiveMark.Consolidated, row.Reason));

        var undone = await node.Node.UndoAsync(done.CurationId, Alice);
        Assert.NotNull(undone.UndoneAt);
        Assert.Equal(undone, Assert.Single(await node.Node.CurationsAsync(10)) with { SourceIds = undone.SourceIds });
        Assert.Equal(before.Select(link => (link.SourceId, link.TargetId)).Order(), (await node.LinksAsync(outside)).Select(link => (link.SourceId, link.TargetId)).Order());
        foreach (var source in sources)
        {
            var back = (await node.GetAsync(source.Id)).Memory;
            AssertEqual(source with { UpdatedAt = back.UpdatedAt }, back);
        }

        await AssertNotFoundAsync(() => node.GetAsync(made.Id));
        Assert.Equal(undone.UndoneAt, (await node.Node.UndoAsync(done.CurationId, Alice)).UndoneAt);

        // Nothing of it is done when one of them is not there, or the title is taken by another.
        var digests = await node.Store.ReadDigestsAsync();
        await AssertNotFoundAsync(() => node.Node.ConsolidateAsync(new([sources[0].Id, "nobody"], "x", "y", "test"), Alice));
        Assert.Equal(ErrorKind.TitleTaken, (await Assert.ThrowsAsync<MemoryException>(() => node.Node.ConsolidateAsync(new([sources[0].Id, sources[1].Id], "outside", "y", "test"), Alice))).Kind);
        Assert.Equal(digests, await node.Store.ReadDigestsAsync());
        await AssertSoundAsync(node);
    }

    [Fact]
    public async Task A_settled_contradiction_is_settled_whole_or_not_at_all()
    {
        await using var node = await NodeAsync();
        var winner = (await node.StoreAsync(Draft("winner") with { AgentId = "alice" }, Alice)).Memory;
        var loser = (await node.StoreAsync(Draft("loser") with { AgentId = "alice", Namespace = "other", Priority = 9 }, Alice)).Memory;
        var settled = (await node.Node.SupersedeAsync(winner.Id, loser.Id, Alice)).Memory;
        Assert.Equal((loser.Id, 1, 0.1), (settled.Id, settled.Priority, settled.Confidence));
        Assert.Equal((winner.Id, "supersedes", loser.Id), (await node.LinksAsync(loser.Id)).Select(static link => (link.SourceId, link.Relation, link.TargetId)).Single());
        Assert.Equal(1, (await node.GetAsync(winner.Id)).Memory.AccessCount);

        // Where the rules refuse a part of it, nothing of it is done.
        var rules = (await node.StoreAsync(Draft("rules") with { Namespace = "owned", AgentId = "alice" }, Alice)).Memory;
        await node.Node.SetStandardAsync("owned", rules.Id, null, new(GovernanceRule.Owner, GovernanceRule.Any, GovernanceRule.Any, Approver.Human), Alice);
        var digests = await node.Store.ReadDigestsAsync();
        Assert.Equal(ErrorKind.GovernanceDenied, (await Assert.ThrowsAsync<MemoryException>(() => node.Node.SupersedeAsync(winner.Id, rules.Id, new("eve")))).Kind);
        await AssertNotFoundAsync(() => node.Node.SupersedeAsync(winner.Id, "nobody", Alice));
        Assert.Equal(ErrorKind.SelfLink, (await Assert.ThrowsAsync<MemoryException>(() => node.Node.SupersedeAsync(winner.Id, winner.Id, Alice))).Kind);
        Assert.Equal(digests, await node.Store.ReadDigestsAsync());
        await AssertSoundAsync(node);
    }

    private static async Task ChangeEverythingAsync(MemoryNode node)
    {
        await node.RegisterAgentAsync("alice", "human", ["read"], Alice);
        await node.RegisterAgentAsync("bob", "ai:test", [], Alice);
        var ids = new List<string>();
        for (var index = 0; index < 6; index++)
        {
            ids.Add((await node.StoreAsync(Draft($"row {index}") with { Namespace = "team/a", AgentId = "alice" }, Alice)).Memory.Id);
        }

        await node.SetStandardAsync("team", ids[0], "other", GovernancePolicy.Default, Alice);
        await node.SetStandardAsync("team/a", ids[1], null, null, Alice);
        await node.ClearStandardAsync("team/a", Alice);
        await node.LinkAsync(ids[1], ids[2], "supersedes", Alice);
        await node.ForgetAsync(new("team/a", "3 4 5", null), Alice);
        await node.RestoreAsync(ids[3], Alice);
        await node.PurgeAsync(null, Alice);
        await node.ForgetAsync(new(null, "3", null), Alice);
        var rules = await node.StoreAsync(Draft("rules") with { Namespace = "governed" }, Alice);
        await node.SetStandardAsync("governed", rules.Memory.Id, null, new(GovernanceRule.Approve, GovernanceRule.Any, GovernanceRule.Owner, Approver.Human), Alice);
        var parts = new[] { ids[0], ids[2] };
        var first = await node.ConsolidateAsync(new(parts, "told as one", "summary", "team/b"), Alice);
        await node.UndoAsync(first.CurationId, Alice);
        await node.ConsolidateAsync(new(parts, "told again", "summary", "team/b"), Alice);
        await node.GrantAsync(ids[1], "bob", Permission.Write, Alice);
        await node.GrantAsync(ids[1], "carol", Permission.Read, Alice);
        Assert.True(await node.RevokeAsync(ids[1], "carol", Alice));
        await StoreAlikeAsync(node, "curated", 2);
        Assert.Equal(2, (await node.CurateAsync(new(Include: ["curated"]), new())).Consolidated);
        var subscription = await node.SubscribeAsync(new("https://example.org/", []), Alice);
        await node.NoteDeliveryAsync(subscription.Id, new(1, 2, 3, null, [new("n~1:1", "memory_store", "id", "HTTP 500", 4)]));
        Assert.True(await node.UnsubscribeAsync((await node.SubscribeAsync(new("https://example.org/", ["memory_delete"], "secret"), Alice)).Id, "alice", Alice));
        var message = await node.NotifyAsync(new("bob", "hello", "text"), Alice);
        await node.NotifyAsync(new("bob", "hello", "text"), Alice);
        await node.ReadMessagesAsync("bob", [message.Id], take: false, Bob);
        await node.ReadMessagesAsync("bob", [(await node.NotifyAsync(new("bob", "to go", "text"), Alice)).Id], take: true, Bob);
        foreach (var approve in (bool[])[true, false])
        {
            var pending = await Assert.ThrowsAsync<PendingException>(() => node.StoreAsync(Draft($"asked {approve}") with { Namespace = "governed" }, Alice));
            await node.VoteAsync(pending.PendingId, approve, Alice);
        }
    }
}
