using System.Text.Json;
using System.Text.Json.Nodes;
using OrleansMemory.Gate.Campaigns;
using OrleansMemory.Gate.Evidence;
using OrleansMemory.Gate.Ledgers;

namespace OrleansMemory.Gate.Tests;

/// <summary>Writes the evidence of a small campaign on three peers as the gate does. It is green unless it is told otherwise.</summary>
internal sealed record SampleRun
{
    private const int Second = 1_000_000;
    private const int ChangesOfCycle = 3;

    public static readonly CampaignScope Quick =
        new(CampaignModes.Quick, "peers", ["a", "b", "c"], [1, 2, 3, 4], ["kill", "pause"], new Dictionary<string, string> { ["disk_full"] = "needs root" }, 3, 6);

    public string Id { get; init; } = "quick-1";

    public DateTimeOffset StartedAt { get; init; } = new(2026, 11, 20, 8, 0, 0, TimeSpan.Zero);

    public TimeSpan Lasts { get; init; } = TimeSpan.FromSeconds(140);

    public CampaignScope Scope { get; init; } = Quick;

    public BuildFacts Build { get; init; } = new("0.1.0", "0123456789abcdef0123456789abcdef01234567", false, new Dictionary<string, string> { ["om"] = new('5', 64) });

    public MachineFacts Machine { get; init; } = new("Linux", ".NET 10", 2, 8L << 30);

    /// <summary>Phases that left something behind.</summary>
    public IReadOnlyList<int> Reached { get; init; } = [1, 2, 3, 4];

    /// <summary>How phase 4 ended.</summary>
    public (string End, string? Error) ChaosEnd { get; init; } = (PhaseEnds.Completed, null);

    /// <summary>The address that the migration prints.</summary>
    public string MigratedTo { get; init; } = "postgres://localhost/memory";

    public IReadOnlyList<CanaryPlan> Canaries { get; init; } = [];

    /// <summary>Runs of canaries, by name.</summary>
    public IReadOnlyDictionary<string, SampleRun> CanaryRuns { get; init; } = new Dictionary<string, SampleRun>();

    /// <summary>The ledger of a fault class with its lines, before it is written.</summary>
    public Func<string, IEnumerable<LedgerLine>, IEnumerable<LedgerLine>> Altered { get; init; } = static (_, lines) => lines;

    /// <summary>Milliseconds until the nodes of a cycle are equal.</summary>
    public Func<string, int, long> Converges { get; init; } = static (fault, cycle) => (fault.Length * 17) + (cycle * 31);

    /// <summary>A write that was acknowledged in the second cycle of a fault class, and that one node lacks.</summary>
    public SampleRun Losing(string fault, string node) => this with
    {
        Altered = (name, lines) => name != fault ? lines
            : lines.Where(line => line is not Holding { Cycle: 2 } holding || holding.Node != node || holding.Title != $"{fault}-2-0")
                .Select(line => line is NodeState { Cycle: 2 } state && state.Node == node ? state with { Stated = state.Stated - 1 } : line),
    };

    public async Task<EvidenceFolder> WriteAsync(string path)
    {
        var evidence = await WriteOwnAsync(path);
        foreach (var (name, run) in CanaryRuns)
        {
            await run.WriteOwnAsync(evidence.Canary(name).Path);
        }

        Conclusion.Of(evidence).Write(evidence);
        evidence.Write(EvidenceFolder.ManifestName, EvidenceManifest.Of(evidence));
        return evidence;
    }

    private async Task<EvidenceFolder> WriteOwnAsync(string path)
    {
        var evidence = EvidenceFolder.Create(path);
        evidence.Write(EvidenceFolder.PlanName, new CampaignPlan(Id, StartedAt, Scope, Build, Machine, Declaration.Of(Scope)) { Canaries = Canaries });
        evidence.WriteText($"{EvidenceFolder.LogsFolder}/a.log", "started\n");
        foreach (var phase in Scope.Phases.Intersect(Reached))
        {
            await WritePhaseAsync(evidence, phase);
        }

        Conclusion.Of(evidence).Write(evidence);
        return evidence;
    }

    private async Task WritePhaseAsync(EvidenceFolder evidence, int phase)
    {
        JsonNode? observed;
        switch (phase)
        {
            case 1:
                observed = Node(Scope.Names.Select(static name => new RawNode(name, "0.1.0", Element("""{"total":3}"""), 1, 1, 1, Element("""{"errors":[]}"""), 36, 36, Hashes(3), Hashes(3), [])).ToList());
                break;
            case 2:
                await evidence.WriteLedgerAsync("phase2", Altered("phase2", WithLater([.. Cycle("phase2", 1, 200), .. Changes(), .. Cycle("phase2", 3, 1)])));
                observed = Node(new RawAgents(3, [], 201, 503, "quorum_not_met", Scope.Names.ToDictionary(static name => name, static _ => "d"), []));
                break;
            case 3:
                var report = Element($$"""{"memories_read":1000,"memories_written":1000,"errors":[],"to_url":"{{MigratedTo}}"}""");
                observed = Node(new RawMigration(report, Element("""{"memories_read":1000,"memories_written":0,"errors":[]}"""), report, Hashes(1000), Hashes(1000), Hashes(1000)));
                break;
            default:
                foreach (var fault in Scope.Faults)
                {
                    await evidence.WriteLedgerAsync($"phase4-{fault}", Altered(fault, WithLater([.. Enumerable.Range(1, Scope.Cycles).SelectMany(cycle => Cycle(fault, cycle, Scope.Writes - ChangesOfCycle, withChanges: true))])));
                }

                observed = Node(new RawChaos(Scope.Faults.ToDictionary(static fault => fault, static _ => (IReadOnlyList<string>)[]), new Dictionary<string, string>()));
                break;
        }

        var (end, error) = phase == 4 ? ChaosEnd : (PhaseEnds.Completed, null);
        evidence.Write(EvidenceFolder.RawPath(phase), new RawPhase(phase, StartedAt + (Lasts * ((phase - 1) / 4.0)), StartedAt + (Lasts * (phase / 4.0)), end, error, observed));
    }

    /// <summary>Creates through all nodes, a read with a token, a fault in between, and what every node holds after it.</summary>
    /// <param name="withChanges">The second memory is updated and promoted, the third deleted.</param>
    private IEnumerable<LedgerLine> Cycle(string fault, int cycle, int creates, bool withChanges = false)
    {
        var start = cycle * 10L * Second;
        var end = start + Second;
        var held = Enumerable.Range(0, creates).Select(index => $"{fault}-{cycle}-{index}")
            .Select(title => new Holding { Cycle = cycle, Node = "", Id = $"id-{title}", Title = title, Hash = Contents.Hash(title), Tier = "mid" }).ToList();
        for (var index = 0; index < creates; index++)
        {
            yield return new Operation
            {
                Cycle = cycle,
                Client = $"c{index}",
                Op = Operations.Create,
                Node = Scope.Names[index % Scope.Names.Count],
                Title = held[index].Title,
                Id = held[index].Id,
                Hash = held[index].Hash,
                Start = start + index,
                End = end - 3000,
                Outcome = Outcome.Acked,
                Status = 201,
            };
        }

        if (withChanges)
        {
            foreach (var (op, index, at) in ((string, int, long)[])[(Operations.Update, 1, end - 2500), (Operations.Promote, 1, end - 2000), (Operations.Delete, 2, end - 2500)])
            {
                var memory = held[index];
                memory = op == Operations.Update ? memory with { Hash = Contents.Hash(memory.Title + " again") } : op == Operations.Promote ? memory with { Tier = "long" } : memory;
                yield return new Operation
                {
                    Cycle = cycle,
                    Client = $"c{index}",
                    Op = op,
                    Node = Scope.Names[index],
                    Title = memory.Title,
                    Id = memory.Id,
                    Hash = op == Operations.Update ? memory.Hash : null,
                    Start = at,
                    End = at + 100,
                    Outcome = Outcome.Acked,
                    Status = 200,
                };
                held[index] = memory;
            }

            held.RemoveAt(2);
        }

        yield return new Operation
        {
            Cycle = cycle,
            Client = "c0",
            Op = Operations.Read,
            Node = Scope.Names[^1],
            Title = held[0].Title,
            Id = held[0].Id,
            Hash = held[0].Hash,
            Tier = held[0].Tier,
            Start = end - 1000,
            End = end,
            Outcome = Outcome.Acked,
            Status = 200,
            Token = true,
        };
        yield return new Injection { Cycle = cycle, Fault = fault, Victim = "b", Injected = start + 10, InForce = end - 2000, Healed = end, Converged = end + (Converges(fault, cycle) * 1000) };
        foreach (var node in Scope.Names)
        {
            yield return new NodeState { Cycle = cycle, Node = node, Stated = held.Count, Digest = "d" };
            foreach (var holding in held)
            {
                yield return holding with { Node = node };
            }
        }
    }

    /// <summary>With what each node shows of each cycle after the last.</summary>
    private static IEnumerable<LedgerLine> WithLater(List<LedgerLine> lines) =>
    [
        .. lines,
        .. lines.OfType<NodeState>().Select(state => (state, Held: lines.OfType<Holding>().Where(holding => holding.Node == state.Node && holding.Cycle == state.Cycle).ToList()))
            .Select(static pair => new LaterReading { Cycle = pair.state.Cycle, Node = pair.state.Node, Count = pair.Held.Count, Fingerprint = LaterReading.FingerprintOf(pair.Held) }),
    ];

    /// <summary>The second cycle of phase 2: three memories that are updated, three that are promoted, three that are deleted.</summary>
    private IEnumerable<LedgerLine> Changes()
    {
        const int Each = 3;
        string[] kinds = [Operations.Update, Operations.Promote, Operations.Delete];
        var start = 20L * Second;
        List<Holding> kept = [];
        foreach (var (kind, index) in kinds.SelectMany(static kind => Enumerable.Range(0, Each).Select(index => (kind, index))))
        {
            var title = $"{kind}-{index}";
            var create = new Operation
            {
                Cycle = 2,
                Client = title,
                Op = Operations.Create,
                Node = Scope.Names[index],
                Title = title,
                Id = $"id-{title}",
                Hash = Contents.Hash(title),
                Start = start,
                End = start + 1000,
                Outcome = Outcome.Acked,
                Status = 201,
            };
            yield return create;
            var hash = kind == Operations.Update ? Contents.Hash(title + " again") : kind == Operations.Delete ? null : create.Hash;
            yield return create with { Op = kind, Hash = kind == Operations.Promote ? null : hash, Start = start + 2000, End = start + 3000, Status = 200 };
            if (kind != Operations.Delete)
            {
                kept.Add(new() { Cycle = 2, Node = "", Id = create.Id!, Title = title, Hash = hash!, Tier = kind == Operations.Promote ? "long" : "mid" });
            }
        }

        yield return new Injection { Cycle = 2, Fault = "none", Victim = "", Injected = start, InForce = start, Healed = start + 4000, Converged = start + 9000 };
        foreach (var node in Scope.Names)
        {
            yield return new NodeState { Cycle = 2, Node = node, Stated = kept.Count, Digest = "d" };
            foreach (var holding in kept)
            {
                yield return holding with { Node = node };
            }
        }
    }

    private static JsonElement Element(string json) => JsonSerializer.Deserialize<JsonElement>(json);

    private static JsonNode? Node<T>(T value) => JsonSerializer.SerializeToNode(value, GateJson.Documents);

    private static Dictionary<string, string> Hashes(int count) => Enumerable.Range(0, count).ToDictionary(static index => $"memory {index}", static index => $"{index}");
}
