using OrleansMemory.Core;
using OrleansMemory.Core.Curation;
using OrleansMemory.Core.Governance;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Compliance;

public abstract partial class StoreCompliance
{
    [Fact]
    public async Task The_curator_tells_near_duplicates_as_one_and_a_run_is_undone_whole()
    {
        await using var node = await NodeAsync();
        var alike = await StoreAlikeAsync(node.Node, "team", 3);
        var other = await node.StoreAsync(Draft("other") with { Namespace = "team", Content = "nothing of what the others say stands in this one, not a single word of theirs" }, Alice);
        var outside = await node.LinkAsync(alike[0].Id, other.Memory.Id, "supersedes", Alice);
        var before = await node.Store.ReadDigestsAsync();

        var dry = await node.Node.CurateAsync(new(DryRun: true), new());
        Assert.Equal((null, true, 4L, 1L, 3L, 0L), (dry.RunId, dry.DryRun, dry.Scanned, dry.Clusters, dry.Consolidated, dry.UndoRecords));
        Assert.Equal(before, await node.Store.ReadDigestsAsync());

        var report = await node.Node.CurateAsync(new(), new());
        Assert.Equal((1L, 3L, 1L, 0), (report.Clusters, report.Consolidated, report.UndoRecords, report.Errors.Count));
        var made = (await node.ListAsync(new() { Namespace = "team" })).Memories.Single(memory => memory.Id != other.Memory.Id);
        Assert.StartsWith("[consolidated] ", made.Title);
        Assert.Equal(("alice", "consolidation"), (made.Metadata.Text("agent_id"), made.Source));
        Assert.All(alike, memory => Assert.All(memory.Content.Split('\n'), line => Assert.Contains(line, made.Content)));
        Assert.Single(made.Content.Split('\n'), static line => line.StartsWith("the same", StringComparison.Ordinal));
        Assert.Contains(await node.LinksAsync(other.Memory.Id), link => link.SourceId == made.Id && link.Relation == outside.Link.Relation);
        Assert.Equal(report.RunId, Assert.Single(await node.Node.CurationsAsync(10)).RunId);
        Assert.Equal(0, (await node.Node.CurateAsync(new(), new())).Attempted);
        Assert.Equal(0, (await node.Node.CuratorAsync()).Last!.Attempted);

        var undone = await node.Node.UndoRunsAsync(report.RunId, null, new());
        Assert.Equal((1, 0), (undone.Reversed, undone.Errors.Count));
        foreach (var memory in alike)
        {
            var back = (await node.GetAsync(memory.Id)).Memory;
            AssertEqual(memory with { UpdatedAt = back.UpdatedAt }, back);
        }

        Assert.Equal(0, (await node.Node.UndoRunsAsync(report.RunId, null, new())).Reversed);
        Assert.Equal(ErrorKind.InvalidCuration, (await Assert.ThrowsAsync<MemoryException>(() => node.Node.UndoRunsAsync(null, 0, new()))).Kind);
        Assert.Equal(ErrorKind.InvalidCuration, (await Assert.ThrowsAsync<MemoryException>(() => node.Node.CurateAsync(new(MostOperations: 0), new()))).Kind);
        await AssertSoundAsync(node);
    }

    [Fact]
    public async Task The_curator_joins_no_authors_and_scopes_and_leaves_alone_what_it_may_not_touch()
    {
        await using var node = await NodeAsync();
        await StoreAlikeAsync(node.Node, "authors", 2, index => Draft("") with { AgentId = index == 0 ? "alice" : "bob" });
        await StoreAlikeAsync(node.Node, "scopes", 2, index => Draft("") with { AgentId = "alice", Scope = index == 0 ? "private" : "team" });
        await StoreAlikeAsync(node.Node, "short", 2, _ => Draft("") with { Tier = Tier.Short });
        await StoreAlikeAsync(node.Node, "left/out", 2);
        var standard = await StoreAlikeAsync(node.Node, "standard", 2);
        await node.Node.SetStandardAsync("standard", standard[0].Id, null, null, Alice);
        var governed = await StoreAlikeAsync(node.Node, "governed", 2);
        var rules = await node.StoreAsync(Draft("rules") with { Namespace = "rules" }, Alice);
        await node.Node.SetStandardAsync("governed", rules.Memory.Id, null, new(GovernanceRule.Any, GovernanceRule.Any, GovernanceRule.Owner, Approver.Human), Alice);

        var report = await node.Node.CurateAsync(new(Exclude: ["left/out"]), new());
        Assert.Equal((0L, 0L), (report.Consolidated, report.UndoRecords));
        Assert.Contains(report.Errors, error => error.StartsWith("governed: consolidate denied", StringComparison.Ordinal));
        Assert.Empty(await node.Node.ArchivedAsync(new()));
        Assert.Equal(2, (await node.Node.CurateAsync(new(Include: ["left/out"]), new())).Consolidated);
        Assert.Equal(governed.Count, (await node.ListAsync(new() { Namespace = "governed" })).Memories.Count);
    }

    [Fact]
    public async Task The_curator_archives_what_is_contradicted_and_moves_priorities_once()
    {
        var time = new ManualTime();
        await using var node = await NodeAsync(time);
        var old = await node.StoreAsync(Draft("old") with { Namespace = "n", Content = "the window is on tuesday, as it was agreed upon by everybody", Tier = Tier.Long, Confidence = 0.5 }, Alice);
        time.Advance(TimeSpan.FromDays(1));
        var newer = await node.StoreAsync(Draft("new") with { Namespace = "n", Content = "quite another day was chosen after long talks between the teams", Tier = Tier.Long, Confidence = 0.9 }, Alice);
        await node.UpdateAsync(old.Memory.Id, new() { Metadata = Metadata.Parse($$"""{"confirmed_contradictions":["{{newer.Memory.Id}}","nobody",7]}""") }, Alice);

        // The newer one is not newer any more: nothing is archived.
        Assert.Equal(0, (await node.Node.CurateAsync(new(), new())).Forgotten);
        await node.UpdateAsync(newer.Memory.Id, new() { Priority = 5 }, Alice);
        var report = await node.Node.CurateAsync(new(), new());
        Assert.Equal((1L, 0L, 1L), (report.Forgotten, report.PrioritiesAdjusted, report.UndoRecords));
        await AssertNotFoundAsync(() => node.GetAsync(old.Memory.Id));
        Assert.Equal(1, (await node.Node.UndoRunsAsync(null, 1, new())).Reversed);
        Assert.Equal("old", (await node.GetAsync(old.Memory.Id)).Memory.Title);
        await node.UpdateAsync(old.Memory.Id, new() { Metadata = Metadata.Empty }, Alice);

        // Unused for a month: down by one, once, until another month has passed.
        time.Advance(TimeSpan.FromDays(31));
        var run = await node.Node.CurateAsync(new(MostOperations: 1), new());
        Assert.Equal((1L, 1L), (run.PrioritiesAdjusted, run.SkippedByCap));
        Assert.Equal(1, (await node.Node.CurateAsync(new(), new())).PrioritiesAdjusted);
        Assert.Equal(0, (await node.Node.CurateAsync(new(), new())).Attempted);
        var sunk = (await node.GetAsync(newer.Memory.Id)).Memory;
        Assert.Equal(4, sunk.Priority);

        // Used ten times: up by one.
        time.Advance(TimeSpan.FromDays(8));
        for (var use = 0; use < 10; use++)
        {
            await node.RecallAsync(new() { Context = "quite another day was chosen", Limit = 1 });
        }

        await node.Node.FlushAsync();
        var used = (await node.GetAsync(newer.Memory.Id)).Memory;
        var lifted = await node.Node.CurateAsync(new(), new());
        Assert.Equal(1, lifted.PrioritiesAdjusted);
        Assert.Equal(used.Priority + 1, (await node.GetAsync(newer.Memory.Id)).Memory.Priority);
        Assert.Equal(1, (await node.Node.UndoRunsAsync(lifted.RunId, null, new())).Reversed);
        var back = (await node.GetAsync(newer.Memory.Id)).Memory;
        Assert.Equal((used.Priority, used.UpdatedAt), (back.Priority, back.UpdatedAt));
        await AssertSoundAsync(node);
    }

    [Fact]
    public async Task One_run_of_the_curator_at_a_time_and_only_with_the_lease()
    {
        await using var node = await NodeAsync();
        await StoreAlikeAsync(node.Node, "team", 2);
        var lease = new Lease();
        node.Node.Curator.Lease = lease;
        Assert.Equal(ErrorKind.AlreadyRunning, (await Assert.ThrowsAsync<MemoryException>(() => node.Node.CurateAsync(new(), new()))).Kind);
        Assert.Equal(2, (await node.Node.CurateAsync(new(DryRun: true), new())).Consolidated);
        lease.IsFree = true;
        lease.OnTake = async () =>
            Assert.Equal(ErrorKind.AlreadyRunning, (await Assert.ThrowsAsync<MemoryException>(() => node.Node.CurateAsync(new(), new()))).Kind);
        Assert.Equal(2, (await node.Node.CurateAsync(new(), new())).Consolidated);
        Assert.Equal((1, 1), (lease.Taken, lease.Released));
    }

    /// <summary>Memories of which each says nearly what the others do.</summary>
    private static async Task<IReadOnlyList<Memory>> StoreAlikeAsync(MemoryNode node, string @namespace, int count, Func<int, MemoryDraft>? draft = null)
    {
        var stored = new List<Memory>();
        for (var index = 0; index < count; index++)
        {
            var written = (draft?.Invoke(index) ?? Draft("") with { AgentId = "alice" }) with
            {
                Namespace = @namespace,
                Title = $"alike {index}",
                Content = $"the same line in each of them, said only once from now on\nand one of its own, number{index}",
            };
            stored.Add((await node.StoreAsync(written, Alice)).Memory);
        }

        return stored;
    }

    private sealed class Lease : ICurationLease
    {
        public bool IsFree { get; set; }

        public Func<Task>? OnTake { get; set; }

        public int Taken { get; private set; }

        public int Released { get; private set; }

        public async Task<bool> TakeAsync(TimeSpan duration)
        {
            await (OnTake?.Invoke() ?? Task.CompletedTask);
            Taken += IsFree ? 1 : 0;
            return IsFree;
        }

        public Task ReleaseAsync()
        {
            Released++;
            return Task.CompletedTask;
        }
    }
}
