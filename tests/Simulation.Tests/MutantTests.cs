extern alias mutants;

using OrleansMemory.Compliance;
using Mutants = mutants::OrleansMemory.Simulation.Mutants;

namespace OrleansMemory.Simulation.Tests;

/// <summary>The simulation finds what is wrong: each fault that is put into the engines fails a seed before long.</summary>
public sealed class MutantTests(ITestOutputHelper output)
{
    /// <summary>Faults that take hundreds of seeds are looked for from the first seed on in the campaign, and where they were found in every run.</summary>
    private static readonly Dictionary<string, long> FoundAt = new()
    {
        ["FanOutEndsAtQuorum"] = 87,
        ["TombstoneCollectedEarly"] = 72,
        ["RejoinKeepsOldRows"] = 199,
        ["FloorPastGap"] = 1221,
        ["OnePeerCompared"] = 737,
        ["RecoveryForgottenAtStart"] = 485,
        ["RefusalOutlivesItsGround"] = 206,
        ["RepetitionDecidedAnew"] = 66,
        ["RejoinDropsNewRows"] = 240,
        ["RefusedRowCounts"] = 84,
        ["RefusedRowsAnswerReads"] = 235,
        ["FeedSkipsRow"] = 51,
    };

    /// <summary>
    /// Bugs that the engines had, for which no seed is known that finds them in the engines as they are now; the campaign looks for one. Those
    /// that no directed run finds either are found by tests of one engine alone.
    /// </summary>
    private static readonly string[] Unmeasured =
        ["OldRefusalsRetried", "RecoveringPeerHeals", "RefusedNumberReused", "RejoinKeepsRewrittenRows", "OldCopyShips", "StaleNodeWrites", "TombstoneCollectedUnderLog", "ExchangeMissesMoves", "ExchangeSpansSetback", "StaleNodeAcknowledges", "OverruledRowCounts"];

    public static TheoryData<string> Names => [.. Campaign.Count("mutants", reduced: 0, full: 1) > 0 ? Mutants.Names : Mutants.Names.Except(Unmeasured)];

    public static TheoryData<string, string> Directed => new()
    {
        { "StaleNodeWrites", "an old copy decides nothing before it has rejoined" },
        { "StaleNodeAcknowledges", "an old copy answers for nothing that it lets go of" },
        { "RejoinKeepsRewrittenRows", "what was deleted does not come back by being written to on an old copy" },
        { "OldCopyShips", "what an old copy writes is not taken by a node that has forgotten more" },
        { "RefusedNumberReused", "a number by which a peer keeps a row that it refused is not used again" },
        { "RecoveringPeerHeals", "two wiped nodes are no proof for each other" },
        { "TombstoneCollectedUnderLog", "a delete is remembered as long as the log names it" },
    };

    [Theory]
    [MemberData(nameof(Directed))]
    public void A_fault_that_no_seed_is_known_for_is_found_by_a_directed_run(string fault, string run)
    {
        Assert.Null(Mutants.FindIn(run, "None"));
        Assert.NotNull(Mutants.FindIn(run, fault));
    }

    [Theory]
    [MemberData(nameof(Names))]
    [Trait(Campaign.Trait, "mutants")]
    public void A_fault_in_the_engines_is_found(string fault)
    {
        var isFull = Campaign.Count("mutants", reduced: 0, full: 1) > 0;
        var first = isFull ? 1 : FoundAt.GetValueOrDefault(fault, 1);
        var result = Mutants.Find(fault, first, 2_000);
        output.WriteLine($"{fault}: seed {result.Seed}, {result.Took.TotalSeconds:F1} s: {result.Failure}");
        Assert.NotNull(result.Seed);
    }

    [Fact]
    public void The_engines_without_a_fault_fail_none_of_the_seeds_that_find_them()
    {
        foreach (var seed in FoundAt.Values)
        {
            Assert.Null(Runs.One(new(seed, Runs.Steps)).Failure);
        }
    }
}
