using OrleansMemory.Core;
using OrleansMemory.Core.Governance;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Compliance;

public abstract partial class StoreCompliance
{
    private static readonly WriteContext Bob = new("bob");
    private static readonly WriteContext Eve = new("eve");

    /// <summary>A namespace that is governed from above, with a memory of alice's in it.</summary>
    private static async Task<Memory> GovernAsync(MemoryNode node, GovernancePolicy policy)
    {
        var rules = await node.StoreAsync(Draft("rules") with { Namespace = "team", AgentId = "alice" }, Alice);
        var row = await node.StoreAsync(Draft("row") with { Namespace = "team/a/b", AgentId = "alice", Content = "needle" }, Alice);
        await node.SetStandardAsync("team", rules.Memory.Id, null, policy, Alice);
        return row.Memory;
    }

    /// <summary>Every way of changing the row, or of putting another one beside it.</summary>
    private static IEnumerable<(string Name, Func<MemoryNode, Memory, WriteContext, Task> Change)> Mutations() =>
    [
        ("store", (node, row, who) => node.StoreAsync(Draft("new") with { Namespace = row.Namespace }, who)),
        ("upsert", (node, row, who) => node.StoreAsync(Draft(row.Title) with { Namespace = row.Namespace }, who)),
        ("bulk", async (node, row, who) => Throw(Assert.Single(await node.StoreManyAsync([Draft("new") with { Namespace = row.Namespace }], who)).Error)),
        ("import", async (node, row, who) => Throw(Assert.Single(await node.ImportAsync([Imported("imported", "imported") with { Namespace = row.Namespace }], [], new(), who)).Error)),
        ("import over", async (node, row, who) => Throw(Assert.Single(await node.ImportAsync([row with { Content = "x" }], [], new(), who)).Error)),
        ("import away", async (node, row, who) => Throw(Assert.Single(await node.ImportAsync([row with { Namespace = "elsewhere" }], [], new(), who)).Error)),
        ("sync", async (node, row, who) => Throw(Assert.Single(await node.SyncAsync([row with { UpdatedAt = row.UpdatedAt.AddSeconds(5), Content = "x" }], who)).Error)),
        ("update", (node, row, who) => node.UpdateAsync(row.Id, new() { Content = "x" }, who)),
        ("move away", (node, row, who) => node.UpdateAsync(row.Id, new() { Namespace = "elsewhere" }, who)),
        ("promote", (node, row, who) => node.PromoteAsync(row.Id, who)),
        ("promote by update", (node, row, who) => node.UpdateAsync(row.Id, new() { Tier = Tier.Long }, who)),
        ("delete", (node, row, who) => node.DeleteAsync(row.Id, who)),
        ("forget", (node, row, who) => node.ForgetAsync(new(row.Namespace, null, null), who)),
        ("forget by words", (node, row, who) => node.ForgetAsync(new(null, "needle", null), who)),
        ("consolidate", async (node, row, who) => await node.ConsolidateAsync(new([row.Id, (await node.StandardAsync("team")).StandardId!], "t", "s", "elsewhere"), who)),
        ("link", (node, row, who) => node.LinkAsync(row.Id, row.Id + "x", "related_to", who)),
        ("standard", (node, row, who) => node.SetStandardAsync(row.Namespace, row.Id, null, GovernancePolicy.Default, who)),
        ("clear", (node, row, who) => node.ClearStandardAsync("team", who)),
        ("quorum", (node, row, who) => node.SetQuorumAsync(row.Namespace, 1, who)),
    ];

    private static void Throw(Exception? error)
    {
        if (error is not null)
        {
            throw error;
        }
    }

    [Fact]
    public async Task Every_change_is_judged_by_the_policy_of_a_namespace_above()
    {
        await using var node = await NodeAsync();
        var row = await GovernAsync(node.Node, new(GovernanceRule.Owner, GovernanceRule.Owner, GovernanceRule.Owner, Approver.Human));
        var before = await node.Store.ReadDigestsAsync();
        foreach (var (name, change) in Mutations())
        {
            var error = await Record.ExceptionAsync(() => change(node.Node, row, Eve));
            Assert.True(
                error is MemoryException { Kind: var kind } && (kind == ErrorKind.GovernanceDenied || kind == ErrorKind.Forbidden || (name == "link" && kind == ErrorKind.NotFound)),
                $"{name}: {error}");
        }

        Assert.Equal(before, await node.Store.ReadDigestsAsync());
        Assert.Contains("denied by governance", (await Assert.ThrowsAsync<MemoryException>(() => node.DeleteAsync(row.Id, Eve))).Message);

        // Who owns it may, and elsewhere anybody may.
        await node.UpdateAsync(row.Id, new() { Content = "alice's" }, Alice);
        await node.StoreAsync(Draft("free") with { Namespace = "teamwork" }, Eve);
        Assert.Equal(1, await node.ForgetAsync(new("team/a/b", null, null), Alice));
        Assert.Equal(ErrorKind.GovernanceDenied, (await Assert.ThrowsAsync<MemoryException>(() => node.Node.RestoreAsync(row.Id, Eve))).Kind);
        Assert.Equal(0, await node.Node.PurgeAsync(null, Eve));
        await node.Node.RestoreAsync(row.Id, Alice);
    }

    [Fact]
    public async Task Registered_agents_may_where_the_policy_asks_for_that()
    {
        await using var node = await NodeAsync();
        var row = await GovernAsync(node.Node, new(GovernanceRule.Registered, GovernanceRule.Any, GovernanceRule.Owner, Approver.Human));
        Assert.Equal(ErrorKind.GovernanceDenied, (await Assert.ThrowsAsync<MemoryException>(() => node.UpdateAsync(row.Id, new() { Content = "x" }, Bob))).Kind);
        await node.PromoteAsync(row.Id, Bob);
        await node.Node.RegisterAgentAsync("bob", "human", [], Bob);
        await node.UpdateAsync(row.Id, new() { Content = "x" }, Bob);
        Assert.Equal(ErrorKind.GovernanceDenied, (await Assert.ThrowsAsync<MemoryException>(() => node.UpdateAsync(row.Id, new() { Content = "x" }, new()))).Kind);
    }

    [Fact]
    public async Task A_policy_that_cannot_be_read_allows_nothing()
    {
        await using var node = await NodeAsync();
        var row = (await node.StoreAsync(Draft("row") with { Namespace = "team/a/b", AgentId = "alice" }, Alice)).Memory;
        var log = new LogId("other", 1);
        var stamp = new Stamp(1, log);
        var broken = new EntryState(EntryBodies.PolicyKey("team"), "team", null, Live: true, stamp, """{"write":"sometimes","delete":"any"}"""u8.ToArray());
        Assert.Equal([ApplyOutcome.Applied], await node.Replica.ApplyAsync([new(new(log, 1), stamp, 0, MutationKind.Policy, "team", broken.Encode())]));
        foreach (var who in (WriteContext[])[Alice, Eve])
        {
            Assert.Equal(ErrorKind.GovernanceDenied, (await Assert.ThrowsAsync<MemoryException>(() => node.UpdateAsync(row.Id, new() { Content = "x" }, who))).Kind);
            Assert.Equal(ErrorKind.GovernanceDenied, (await Assert.ThrowsAsync<MemoryException>(() => node.DeleteAsync(row.Id, who))).Kind);
        }
    }

    [Fact]
    public async Task What_needs_approval_waits_and_is_carried_out_once()
    {
        await using var node = await NodeAsync();
        var row = await GovernAsync(node.Node, new(GovernanceRule.Approve, GovernanceRule.Approve, GovernanceRule.Approve, Approver.Human));
        var draft = Draft("proposed") with { Namespace = "team/a", Content = "approved text", Tags = ["x"], Metadata = Metadata.Parse("""{"k":[1,{"z":2}]}"""), AgentId = "bob", Scope = "team" };
        var stored = await Assert.ThrowsAsync<PendingException>(() => node.StoreAsync(draft, Bob));
        var updated = await Assert.ThrowsAsync<PendingException>(() => node.UpdateAsync(row.Id, new() { Content = "changed", Tags = ["y"] }, Bob));
        var promoted = await Assert.ThrowsAsync<PendingException>(() => node.PromoteAsync(row.Id, Bob));
        var deleted = await Assert.ThrowsAsync<PendingException>(() => node.DeleteAsync(row.Id, Bob));
        Assert.Equal(("store", "team/a", null), (stored.ActionType, stored.Namespace, stored.MemoryId));
        Assert.Equal(("delete", row.Id), (deleted.ActionType, deleted.MemoryId));
        AssertEqual(row, (await node.GetAsync(row.Id)).Memory);
        Assert.Equal(4, (await node.Node.PendingAsync(PendingStatuses.Pending, 10)).Count);

        var outcome = await node.Node.VoteAsync(stored.PendingId, approve: true, Alice);
        Assert.Equal((PendingStatuses.Approved, "alice"), (outcome.Action.Status, outcome.Action.DecidedBy));
        var made = (await node.GetAsync(outcome.Action.Result!)).Memory;
        Assert.Equal((draft.Title, draft.Content, "bob", "team"), (made.Title, made.Content, made.Metadata.Text("agent_id"), made.Metadata.Text("scope")));
        Assert.Equal("""[1,{"z":2}]""", System.Text.Json.JsonDocument.Parse(made.Metadata.Json).RootElement.GetProperty("k").GetRawText());
        Assert.Equal(ErrorKind.Forbidden, (await Assert.ThrowsAsync<MemoryException>(() => node.Node.VoteAsync(stored.PendingId, approve: true, Alice))).Kind);
        Assert.Equal(["alice"], (await node.Node.PendingAsync(PendingStatuses.Approved, 10))[0].Approvals.Select(approval => approval.AgentId));

        await node.Node.VoteAsync(updated.PendingId, approve: true, Alice);
        await node.Node.VoteAsync(promoted.PendingId, approve: true, Alice);
        var changed = (await node.GetAsync(row.Id)).Memory;
        Assert.Equal(("changed", Tier.Long), (changed.Content, changed.Tier));
        var refused = await node.Node.VoteAsync(deleted.PendingId, approve: false, Eve);
        Assert.Equal((PendingStatuses.Rejected, "eve"), (refused.Action.Status, refused.Action.DecidedBy));
        await AssertNotFoundAsync(() => node.Node.VoteAsync(deleted.PendingId, approve: false, Alice));
        await AssertNotFoundAsync(() => node.Node.VoteAsync("nobody", approve: true, Alice));
        Assert.Equal("changed", (await node.GetAsync(row.Id)).Memory.Content);

        // A repetition of the request waits as the first one.
        var first = await Assert.ThrowsAsync<PendingException>(() => node.StoreAsync(Draft("again") with { Namespace = "team" }, Bob with { IdempotencyKey = "k" }));
        var again = await Assert.ThrowsAsync<PendingException>(() => node.StoreAsync(Draft("again") with { Namespace = "team" }, Bob with { IdempotencyKey = "k" }));
        Assert.Equal(first.PendingId, again.PendingId);
        await AssertSoundAsync(node);
    }

    [Fact]
    public async Task A_consensus_counts_registered_agents_each_once()
    {
        await using var node = await NodeAsync();
        await GovernAsync(node.Node, new(GovernanceRule.Approve, GovernanceRule.Any, GovernanceRule.Owner, new(Consensus: 2)));
        foreach (var agent in (string[])["bob", "BOB", "carol"])
        {
            await node.Node.RegisterAgentAsync(agent, "human", [], new());
        }

        var id = (await Assert.ThrowsAsync<PendingException>(() => node.StoreAsync(Draft("new") with { Namespace = "team" }, Eve))).PendingId;
        Assert.Equal(ErrorKind.Forbidden, (await Assert.ThrowsAsync<MemoryException>(() => node.Node.VoteAsync(id, approve: true, Eve))).Kind);
        for (var time = 0; time < 2; time++)
        {
            var open = await node.Node.VoteAsync(id, approve: true, Bob);
            Assert.Equal((PendingStatuses.Pending, 1, 2, false), (open.Action.Status, open.Votes, open.Needed, open.IsElsewhere));
        }

        // One who registered under two spellings has one voice.
        Assert.Equal(PendingStatuses.Pending, (await node.Node.VoteAsync(id, approve: true, new("BOB"))).Action.Status);
        var votes = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Record.ExceptionAsync(() => node.Node.VoteAsync(id, approve: true, new("carol"))).AsTask()));
        Assert.Contains(null, votes);
        Assert.Equal(PendingStatuses.Approved, Assert.Single(await node.Node.PendingAsync(null, 10)).Status);
        Assert.Single((await node.ListAsync(new() { Namespace = "team" })).Memories, memory => memory.Title == "new");
    }

    [Fact]
    public async Task Only_the_designated_agent_approves()
    {
        await using var node = await NodeAsync();
        await GovernAsync(node.Node, new(GovernanceRule.Approve, GovernanceRule.Any, GovernanceRule.Owner, new(AgentId: "carol")));
        var id = (await Assert.ThrowsAsync<PendingException>(() => node.StoreAsync(Draft("new") with { Namespace = "team" }, Eve))).PendingId;
        Assert.Contains("carol", (await Assert.ThrowsAsync<MemoryException>(() => node.Node.VoteAsync(id, approve: true, Alice))).Message);
        Assert.Equal(PendingStatuses.Approved, (await node.Node.VoteAsync(id, approve: true, new("carol"))).Action.Status);
    }

    [Fact]
    public async Task A_vote_on_another_node_is_decided_where_the_action_began()
    {
        await using var a = await NodeAsync(nodeId: "a");
        await using var b = await NodeAsync(nodeId: "b");
        await GovernAsync(a.Node, new(GovernanceRule.Approve, GovernanceRule.Any, GovernanceRule.Owner, Approver.Human));
        var id = (await Assert.ThrowsAsync<PendingException>(() => a.StoreAsync(Draft("new") with { Namespace = "team" }, Eve))).PendingId;
        await b.Replica.ApplyAsync(await a.Store.ReadLogAsync(0, 100, int.MaxValue));
        var voted = await b.Node.VoteAsync(id, approve: true, Alice);
        Assert.Equal((PendingStatuses.Pending, true), (voted.Action.Status, voted.IsElsewhere));
        await a.Replica.ApplyAsync(await b.Store.ReadLogAsync(0, 100, int.MaxValue));
        await Eventually.HoldsAsync("the node that began it has carried it out", async () => (await a.Node.PendingAsync(PendingStatuses.Approved, 10)) is [{ Result: not null }]);
        var after = (await b.Store.ReadVectorAsync()).GetValueOrDefault(a.Store.Log)!.Through;
        await b.Replica.ApplyAsync(await a.Store.ReadLogAsync(after, 100, int.MaxValue));
        Assert.Equal(await a.Store.ReadDigestsAsync(), await b.Store.ReadDigestsAsync());
        Assert.Contains((await b.ListAsync(new() { Namespace = "team" })).Memories, memory => memory.Title == "new");
    }
}
