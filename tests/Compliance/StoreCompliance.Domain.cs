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
        await AssertSoundAsync(target);
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
    }
}
