using OrleansMemory.Gate.Verdicts;

namespace OrleansMemory.Gate.Campaigns;

/// <summary>The one definition of what is asserted: the evaluator, the documents and the pages read it from here.</summary>
public static class Declaration
{
    public const int FullCycles = 50;
    public const int FullWrites = 100;

    /// <summary>Fewer fault classes than this cannot certify, whatever is explained.</summary>
    public const int LeastFullFaults = 5;

    /// <summary>Tools that 0.6.0 lists.</summary>
    public const int McpTools = 36;

    public const int Agents = 4;

    /// <summary>What four agents write at once, what is changed through every node, and what is written while nodes are down.</summary>
    private const int AgentCycles = 3;

    /// <summary>Nodes that run elsewhere are not taken down.</summary>
    private const int GivenAgentCycles = 2;

    /// <summary>Create, update, promote, delete.</summary>
    private const int KindsOfWrite = 4;

    public const int WritesOfAgent = 50;
    public const int Migrated = 1_000;

    public static readonly IReadOnlyList<int> AllPhases = [1, 2, 3, 4];

    /// <summary>What must hold of every ledger, with the name that follows the phase.</summary>
    private static readonly (string Name, string Description)[] NothingOf =
    [
        ("lost", "acknowledged writes that a node lacks in the end"),
        ("different", "memories whose content, tier or id no write explains, or that differ between nodes"),
        ("foreign", "memories on a node that nobody wrote"),
        ("duplicates", "memories that a node lists twice"),
        ("refused", "writes answered as not stored that are on a node"),
        ("split", "writes of unknown fate, or stored by one node, that only some nodes hold"),
        ("resurrected", "deleted memories that a node shows"),
        ("stale", "reads with a token that are older than the write it came from, and memories that their client is told are not there"),
        ("unexpected", "answers that are not documented"),
        ("pages", "nodes whose list to its end is not as long as they state"),
        ("changed", "nodes that show a cycle's memories otherwise after the last cycle"),
    ];

    public static string PhaseName(int phase) => $"phase{phase}";

    public static IReadOnlyList<PhasePlan> Of(CampaignScope scope) => [.. scope.Phases.Select(phase => phase switch
    {
        1 => Functional(scope),
        2 => AgentsAndQuorum(scope),
        3 => Migration(),
        4 => Chaos(scope),
        _ => throw new GateException($"there is no phase {phase}"),
    })];

    /// <summary>The names of what every ledger is held to.</summary>
    internal static IEnumerable<string> LedgerNames => NothingOf.Select(static each => each.Name);

    private static PhasePlan Functional(CampaignScope scope)
    {
        List<AssertionSpec> assertions = [];
        foreach (var node in scope.Names)
        {
            var id = $"phase1.{node}";
            assertions.AddRange(
            [
                new($"{id}.stats", $"{node} counts the memory that was stored", ">=", 1),
                new($"{id}.recall", $"{node} recalls it", ">=", 1),
                new($"{id}.mcp_http", $"{node} lists its tools over HTTP", ">=", McpTools),
                new($"{id}.mcp_stdio", $"om mcp in front of {node} lists its tools over standard input and output", ">=", McpTools),
                new($"{id}.curator_errors", $"a dry run of the curator on {node} ends without an error", "==", 0),
                new($"{id}.errors", $"every step on {node} ended well", "==", 0),
            ]);
            if (scope.Nodes != "given")
            {
                assertions.AddRange(
                [
                    new($"{id}.snapshots", $"a backup of {node} while it serves leaves one snapshot", "==", 1),
                    new($"{id}.manifests", "with one manifest", "==", 1),
                    new($"{id}.restored", $"the memories of {node} that a restore of it lacks, adds or changes", "==", 0),
                ]);
            }
        }

        return new(1, "Functional, each node", "Every node does the whole round alone: store, recall, statistics, backup, restore, a curator's dry run, and the Model Context Protocol both ways.", assertions);
    }

    private static PhasePlan AgentsAndQuorum(CampaignScope scope)
    {
        const int Total = Agents * WritesOfAgent;
        List<AssertionSpec> assertions =
        [
            new("phase2.acked", $"writes of {Agents} agents that were acknowledged", "==", Total, Total),
            .. scope.Names.Select(node => new AssertionSpec($"phase2.{node}.present", $"of them on {node}, by id and content", "==", Total, Total)),
            new("phase2.changes", "updates, promotions and deletes through every node that were acknowledged", ">=", 3 * scope.Names.Count, 3 * scope.Names.Count),
            new("phase2.links", "links that a node lacks", "==", 0, scope.Names.Count),
            .. OfLedger("phase2", scope.Names.Count, scope.Nodes == "given" ? GivenAgentCycles : AgentCycles, Total, deletes: scope.Names.Count, reads: 1),
        ];
        if (scope.Nodes != "given")
        {
            assertions.AddRange(
            [
                new("phase2.one_down", "a write while one peer is down", "==", 201),
                new("phase2.both_down", "a write while both peers are down", "==", 503),
                new("phase2.both_down_code", "and its code", "==", "quorum_not_met"),
                new("phase2.rejoined", "nodes that are not equal to the others after all are back", "==", 0, scope.Names.Count),
                new("phase2.crashes", Crashes, "==", 0),
            ]);
        }

        return new(2, "Agents and quorum", "Four agents write at once with two of three nodes as the quorum, then change, promote, delete and link through every node; then one peer goes down, then both.", assertions);
    }

    private const string Crashes = "nodes that ended by themselves, or uncleanly when they were told to";

    private static PhasePlan Migration() => new(3, "Migration", "A thousand memories with links, an archive and metadata go from SQLite to PostgreSQL, once more, and back.",
    [
        new("phase3.seeded", "memories in the source, archived ones among them", "==", Migrated, Migrated),
        new("phase3.forward_read", "memories that the way there read", "==", Migrated),
        new("phase3.forward_written", "and wrote", "==", Migrated),
        new("phase3.forward_different", "memories, links and archived rows that are not equal in every field there", "==", 0, Migrated),
        new("phase3.again_written", "rows that a second run writes", "==", 0),
        new("phase3.back_different", "memories, links and archived rows that are not equal in every field after the way back", "==", 0, Migrated),
        new("phase3.errors", "errors of all three runs", "==", 0, 3),
    ]);

    private static PhasePlan Chaos(CampaignScope scope) => new(4, "Chaos", "Nodes are killed, paused, cut off, slowed, filled and set back while writes are on their way; nothing that was acknowledged is lost.",
    [
        .. scope.Faults.SelectMany(fault =>
        {
            var id = $"phase4.{fault}";
            return (IEnumerable<AssertionSpec>)
            [
                new($"{id}.cycles", "cycles in which the fault met writes on their way", "==", scope.Cycles, scope.Cycles),
                new($"{id}.in_flight", "the fewest writes on their way in one of them while the fault was put in", ">=", 1, scope.Cycles),
                new($"{id}.kinds", "kinds of write on their way while it was put in, over all cycles: create, update, promote, delete", "==", KindsOfWrite, scope.Cycles),
                new($"{id}.crashes", Crashes, "==", 0),
                new($"{id}.acked", "acknowledged writes", ">=", (long)scope.Cycles * scope.Writes, scope.Cycles),
                new($"{id}.bound", "the least share of acknowledged memories that a node holds after a cycle", "==", 1, scope.Cycles),
                .. OfLedger(id, scope.Names.Count, scope.Cycles, (long)scope.Cycles * scope.Writes, deletes: scope.Cycles, reads: scope.Cycles),
            ];
        }),
    ]);

    /// <param name="deletes">The fewest that must have been acknowledged for anything to come back.</param>
    /// <param name="reads">The fewest cycles with a read that carried a token and was answered.</param>
    private static IEnumerable<AssertionSpec> OfLedger(string id, int nodes, int cycles, long writes, int deletes, int reads) =>
    [
        .. NothingOf.Select(each => new AssertionSpec($"{id}.{each.Name}", each.Description, "==", 0, each.Name switch
        {
            "resurrected" => deletes,
            "stale" => reads,
            "pages" => cycles,
            "changed" => cycles * nodes,
            _ => writes,
        })),
        new($"{id}.nodes", "the fewest nodes that were read after a cycle", "==", nodes, cycles),
        new($"{id}.digests", "the most digests that the nodes had after a cycle", "==", 1, cycles),
        new($"{id}.converged", "cycles whose nodes were ready and equal within the deadline", "==", cycles, cycles),
    ];
}
