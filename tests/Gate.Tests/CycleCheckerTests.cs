using OrleansMemory.Gate.Ledgers;

namespace OrleansMemory.Gate.Tests;

/// <summary>What the checker makes of ledgers, a case for each way in which a cycle can be wrong.</summary>
public sealed class CycleCheckerTests
{
    private static readonly string[] Nodes = ["n1", "n2", "n3"];

    private long _now;

    [Fact]
    public void A_cycle_that_is_as_it_was_answered_has_no_case()
    {
        var found = Check([Create("a"), Create("b"), Update("b", "new"), Create("c"), Delete("c"), .. Everywhere("a"), .. Everywhere("b", "new")]);
        Assert.Equal((5, 2, 1m), (found.Acked, found.Kept, found.Bound));
        Assert.Empty(Cases(found));
        Assert.Equal((3, 1), (found.Nodes, found.Digests));
    }

    [Fact]
    public void An_acknowledged_write_that_one_node_lacks_is_lost()
    {
        var found = Check([Create("a"), Create("b"), .. Everywhere("a"), On("n1", "b"), On("n2", "b")]);
        Assert.Equal(["b on n3"], found.Lost);
        Assert.Equal(0.5m, found.Bound);
    }

    [Fact]
    public void What_one_cycle_has_too_much_does_not_make_up_for_what_another_lacks()
    {
        var lines = new List<LedgerLine>();
        lines.AddRange(Cycle(1, [Create("a", cycle: 1), On("n1", "a", cycle: 1), On("n2", "a", cycle: 1)]));
        lines.AddRange(Cycle(2, [Create("b", cycle: 2), .. Everywhere("b", cycle: 2), On("n3", "z", cycle: 2)]));
        var found = CycleChecker.Check(lines);
        Assert.Equal(["a on n3"], found[0].Lost);
        Assert.Equal(0, found[0].Bound);
        Assert.Equal(["id-z (z) on n3"], found[1].Foreign);
        Assert.Equal(1, found[1].Bound);
    }

    [Fact]
    public void Without_an_acknowledged_write_nothing_is_proved()
    {
        var found = Check([Create("a", Outcome.Rejected)]);
        Assert.Equal((0, 0, 0m), (found.Acked, found.Kept, found.Bound));
    }

    [Fact]
    public void A_refused_write_that_is_there_is_named() => Assert.Equal(["a on n2"], Check([Create("a", Outcome.Rejected), On("n2", "a")]).Refused);

    [Fact]
    public void A_write_of_unknown_fate_is_everywhere_or_nowhere()
    {
        Assert.Empty(Cases(Check([Create("a", Outcome.Indeterminate), .. Everywhere("a")])));
        Assert.Empty(Cases(Check([Create("a", Outcome.Indeterminate)])));
        Assert.Equal(["a only on n1"], Check([Create("a", Outcome.Indeterminate), On("n1", "a")]).Split);
    }

    [Fact]
    public void What_one_node_stored_reaches_all_unless_its_disk_is_lost()
    {
        Assert.Equal(3, Check([Create("a", Outcome.StoredLocally)]).Split.Count);
        Assert.Empty(Cases(Check([Create("a", Outcome.StoredLocally), .. Everywhere("a")])));
        Assert.Equal(3, Check([Create("a", Outcome.StoredLocally), Fault("pause")]).Split.Count);
        Assert.Empty(Cases(Check([Create("a", Outcome.StoredLocally), Fault("replaced_empty")])));
        Assert.Single(Check([Create("a", Outcome.StoredLocally), On("n3", "a"), Fault("replaced_empty")]).Split);

        // It was another node's disk; of silos nobody knows which stored it.
        var others = Create("a", Outcome.StoredLocally) with { Node = "n2" };
        Assert.Equal(3, Check([others, Fault("replaced_empty")]).Split.Count);
        Assert.Empty(Cases(CycleChecker.Check(Cycle(1, [others, Fault("replaced_empty")]), anyMayStore: true).Single()));
    }

    [Fact]
    public void What_was_on_its_way_while_a_fault_was_put_in_is_counted_by_kind()
    {
        static Operation At(Operation operation, long start, long end) => operation with { Start = start, End = end };
        var found = Check(
        [
            At(Create("before"), 0, 9), At(Create("a"), 5, 10), At(Create("b"), 20, 30), At(Update("a", "new"), 12, 13), At(Create("after"), 21, 22), At(Read("a", "a"), 5, 30),
            new Injection { Cycle = 1, Fault = "pause", Victim = "n1", Injected = 10, InForce = 20, Healed = 40 },
        ]);
        Assert.Equal(new Dictionary<string, int> { [Operations.Create] = 2, [Operations.Update] = 1 }, found.InFlight);
    }

    [Fact]
    public void A_change_of_a_memory_that_is_said_not_to_be_there_is_as_stale_as_a_read()
    {
        var refused = Update("a", "new", Outcome.Rejected) with { Status = 404 };
        Assert.Single(Check([Create("a") with { Start = -2, End = -1 }, refused, .. Everywhere("a")]).Stale);
        Assert.Empty(Check([Create("a") with { Start = -2, End = -1 }, refused with { Status = 503 }, .. Everywhere("a")]).Stale);

        // The node that it was made on may have lost its disk; a token says what another has to know.
        Assert.Empty(Check([Create("a") with { Start = -2, End = -1 }, refused, Fault("restored_copy"), .. Everywhere("a")]).Stale);
        Assert.Single(Check([Create("a") with { Start = -2, End = -1 }, refused with { Token = true }, Fault("restored_copy"), .. Everywhere("a")]).Stale);
    }

    [Fact]
    public void A_read_shows_the_tier_of_the_writes_before_it()
    {
        var promote = Write("a", Operations.Promote, Outcome.Acked) with { Start = 10, End = 11 };
        var read = Read("a", "a") with { Start = 12, End = 13 };
        LedgerLine[] held = [.. Everywhere("a").Select(static line => line with { Tier = "long" })];
        Assert.Single(Check([Create("a"), promote, read with { Tier = "mid" }, .. held]).Stale);
        Assert.Empty(Check([Create("a"), promote, read with { Tier = "long" }, .. held]).Stale);
    }

    [Fact]
    public void What_a_node_shows_otherwise_after_the_last_cycle_is_named()
    {
        LaterReading Later(string node, params Holding[] held) => new() { Cycle = 1, Node = node, Count = held.Length, Fingerprint = LaterReading.FingerprintOf(held) };
        var found = Check([Create("a"), .. Everywhere("a"), Later("n1", On("n1", "a")), Later("n2"), Later("n3", On("n3", "a", "other"))]);
        Assert.Equal(["n2 listed 1 then and 0 in the end", "n3 listed 1 then and 1 in the end"], found.Changed);
        Assert.Equal(3, found.LaterReadings);
    }

    [Fact]
    public void A_deleted_memory_that_is_shown_is_named() => Assert.Equal(["a on n3"], Check([Create("a"), Delete("a"), On("n3", "a")]).Resurrected);

    [Fact]
    public void A_delete_of_unknown_fate_takes_all_or_none()
    {
        Assert.Empty(Cases(Check([Create("a"), Delete("a", Outcome.Indeterminate), .. Everywhere("a")])));
        Assert.Empty(Cases(Check([Create("a"), Delete("a", Outcome.Indeterminate)])));
        Assert.Single(Check([Create("a"), Delete("a", Outcome.Indeterminate), On("n1", "a")]).Split);
    }

    [Fact]
    public void Content_must_be_that_of_the_last_write_that_is_certain()
    {
        Assert.Equal(3, Check([Create("a"), Update("a", "new"), .. Everywhere("a")]).Different.Count);
        Assert.Empty(Cases(Check([Create("a"), Update("a", "new", Outcome.Indeterminate), .. Everywhere("a")])));
        Assert.Empty(Cases(Check([Create("a"), Update("a", "new", Outcome.Indeterminate), .. Everywhere("a", "new")])));

        // It was answered that nothing was stored.
        Assert.Equal(3, Check([Create("a"), Update("a", "new", Outcome.Rejected), .. Everywhere("a", "new")]).Different.Count);
    }

    [Fact]
    public void Nodes_that_differ_are_named_though_each_content_can_be_explained() => Assert.Equal(
        ["a is not the same on n1, n2, n3"],
        Check([Create("a"), Update("a", "new", Outcome.Indeterminate), On("n1", "a"), On("n2", "a", "new"), On("n3", "a", "new")]).Different);

    [Fact]
    public void A_tier_and_an_id_must_be_explained_too()
    {
        Assert.Equal(3, Check([Create("a"), .. Everywhere("a").Select(static line => line with { Tier = "long" })]).Different.Count);
        Assert.Empty(Cases(Check([Create("a"), Write("a", Operations.Promote, Outcome.Acked), .. Everywhere("a").Select(static line => line with { Tier = "long" })])));
        Assert.Equal(3, Check([Create("a"), .. Everywhere("a").Select(static line => line with { Id = "other" })]).Different.Count);
    }

    [Fact]
    public void A_memory_that_is_listed_twice_is_named() => Assert.Equal(2, Check([Create("a"), .. Everywhere("a"), On("n2", "a")], stated: 2).Duplicates.Count);

    [Fact]
    public void A_list_that_ends_early_is_named() => Assert.Equal(["n1 lists 1 and states 20", "n2 lists 1 and states 20", "n3 lists 1 and states 20"], Check([Create("a"), .. Everywhere("a")], stated: 20).Pages);

    [Fact]
    public void A_read_with_a_token_shows_the_writes_before_it()
    {
        Assert.Empty(Check([Create("a"), Read("a", "a"), .. Everywhere("a")]).Stale);
        Assert.Single(Check([Create("a"), Read("a", null), .. Everywhere("a")]).Stale);
        Assert.Single(Check([Create("a"), Update("a", "new"), Read("a", "a"), .. Everywhere("a", "new")]).Stale);
        Assert.Empty(Check([Create("a"), Update("a", "new", Outcome.Indeterminate), Read("a", "a"), .. Everywhere("a", "new")]).Stale);
        Assert.Single(Check([Create("a"), Delete("a"), Read("a", "a")]).Stale);
        Assert.Empty(Check([Create("a"), Delete("a"), Read("a", null)]).Stale);
        Assert.Equal(1, Check([Create("a"), Read("a", "a"), .. Everywhere("a")]).TokenReads);
    }

    [Fact]
    public void Nodes_with_two_digests_or_that_nobody_read_are_counted()
    {
        var lines = Cycle(1, [Create("a"), .. Everywhere("a")]).ToList();
        Assert.Equal(2, CycleChecker.Check(lines.Select(static line => line is NodeState { Node: "n2" } state ? state with { Digest = "other" } : line)).Single().Digests);
        Assert.Equal(2, CycleChecker.Check(lines.Where(static line => line is not NodeState { Node: "n2" })).Single().Nodes);
    }

    private static IEnumerable<string> Cases(CycleFindings found) =>
        [.. found.Lost, .. found.Different, .. found.Foreign, .. found.Duplicates, .. found.Refused, .. found.Split, .. found.Resurrected, .. found.Stale, .. found.Unexpected, .. found.Pages, .. found.Changed];

    private static CycleFindings Check(IEnumerable<LedgerLine> lines, long? stated = null) => CycleChecker.Check(Cycle(1, lines, stated)).Single();

    /// <summary>With what each node says of itself.</summary>
    private static IEnumerable<LedgerLine> Cycle(int cycle, IEnumerable<LedgerLine> lines, long? stated = null)
    {
        var all = lines.ToList();
        return all.Concat(Nodes.Select(node => new NodeState { Cycle = cycle, Node = node, Stated = stated ?? all.OfType<Holding>().Count(holding => holding.Node == node), Digest = "d" }));
    }

    private static Injection Fault(string name) => new() { Cycle = 1, Fault = name, Victim = "n1", Injected = 1, InForce = 1, Healed = 2, Converged = 3 };

    private static Holding On(string node, string title, string? content = null, int cycle = 1) => new() { Cycle = cycle, Node = node, Id = $"id-{title}", Title = title, Hash = Contents.Hash(content ?? title), Tier = "mid" };

    private static IEnumerable<Holding> Everywhere(string title, string? content = null, int cycle = 1) => Nodes.Select(node => On(node, title, content, cycle));

    private Operation Create(string title, Outcome outcome = Outcome.Acked, int cycle = 1) =>
        Write(title, Operations.Create, outcome, title) with { Cycle = cycle, Id = outcome == Outcome.Acked ? $"id-{title}" : null };

    private Operation Update(string title, string content, Outcome outcome = Outcome.Acked) => Write(title, Operations.Update, outcome, content);

    private Operation Delete(string title, Outcome outcome = Outcome.Acked) => Write(title, Operations.Delete, outcome);

    /// <param name="content">Null: it was not found.</param>
    private Operation Read(string title, string? content) => Write(title, Operations.Read, content is null ? Outcome.Rejected : Outcome.Acked, content) with { Token = true, Status = content is null ? 404 : 200 };

    private Operation Write(string title, string op, Outcome outcome, string? content = null) => new()
    {
        Cycle = 1,
        Client = "c",
        Op = op,
        Node = "n1",
        Title = title,
        Id = $"id-{title}",
        Hash = content is null ? null : Contents.Hash(content),
        Start = _now++,
        End = _now++,
        Outcome = outcome,
    };
}
