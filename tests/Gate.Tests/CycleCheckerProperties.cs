using FsCheck;
using FsCheck.Fluent;
using OrleansMemory.Gate.Ledgers;
using Outcome = OrleansMemory.Gate.Ledgers.Outcome;

namespace OrleansMemory.Gate.Tests;

/// <summary>Random cycles against a store that never errs: the checker finds nothing in them, and finds whatever is damaged in one place.</summary>
public sealed class CycleCheckerProperties
{
    private const int Runs = 500;
    private const int MostMemories = 12;
    private const int MostWrites = 4;

    private static readonly string[] Nodes = ["n1", "n2", "n3"];

    /// <summary>A damage of a cycle, and where the checker must name it; null: the cycle has nothing to damage so.</summary>
    private static readonly (string Name, Func<Cycle, Random, List<LedgerLine>?> Damage, Func<CycleFindings, int> Cases)[] Damages =
    [
        ("an acknowledged memory is missing on a node", static (cycle, random) => cycle.WithoutOne(random, static memory => memory.IsKept), static found => found.Lost.Count),
        ("an acknowledged memory is missing on all nodes", static (cycle, random) => cycle.WithoutAll(random), static found => found.Lost.Count),
        ("a memory of unknown fate is on some nodes only", static (cycle, random) => cycle.WithoutOne(random, static memory => memory is { IsCertain: false, IsShown: true }), static found => found.Split.Count),
        ("a content that nobody wrote", static (cycle, random) => cycle.With(random, static holding => holding with { Hash = "of nobody" }), static found => found.Different.Count),
        ("a tier that nobody set", static (cycle, random) => cycle.With(random, static holding => holding with { Tier = "short" }), static found => found.Different.Count),
        ("another id", static (cycle, random) => cycle.With(random, static holding => holding with { Id = holding.Id + "-2" }), static found => found.Different.Count),
        ("a memory twice", static (cycle, random) => cycle.Twice(random), static found => found.Duplicates.Count),
        ("a memory that nobody wrote", static (cycle, random) => cycle.Plus(new() { Cycle = 1, Node = Nodes[random.Next(Nodes.Length)], Id = "x", Title = "x", Hash = "x", Tier = "mid" }), static found => found.Foreign.Count),
        ("a deleted memory is back", static (cycle, random) => cycle.Revived(random, static memory => memory.IsDeleted), static found => found.Resurrected.Count),
        ("a refused memory is there", static (cycle, random) => cycle.Revived(random, static memory => memory.IsRefused), static found => found.Refused.Count),
        ("a list that ends early", static (cycle, random) => cycle.Overstated(random), static found => found.Pages.Count),
        ("a read that shows nothing", static (cycle, _) => cycle.WithBlindRead(), static found => found.Stale.Count),
    ];

    [Fact]
    public void Nothing_is_found_where_nothing_is_wrong() => FsCheck.Check.One(Config.QuickThrowOnFailure.WithMaxTest(Runs), Prop.ForAll<int>(static seed =>
    {
        var cycle = Cycle.Of(new Random(seed));
        var found = Judge(cycle.Lines);
        return CasesOf(found).Count == 0 && found.Bound == (cycle.Memories.Exists(static memory => memory.IsKept) ? 1 : 0);
    }));

    [Fact]
    public void Each_damage_is_named_as_what_it_is()
    {
        var met = new int[Damages.Length];
        FsCheck.Check.One(Config.QuickThrowOnFailure.WithMaxTest(Runs), Prop.ForAll<int>(seed =>
        {
            for (var index = 0; index < Damages.Length; index++)
            {
                var random = new Random(seed);
                var cycle = Cycle.Of(random);
                if (Damages[index].Damage(cycle, random) is { } damaged)
                {
                    met[index]++;
                    Assert.True(Damages[index].Cases(Judge(damaged)) > 0, $"seed {seed}: not named: {Damages[index].Name}");
                }
            }
        }));

        // A damage that no cycle could have shows nothing.
        Assert.All(met.Zip(Damages), static pair => Assert.True(pair.First > Runs / 20, $"only {pair.First} of {Runs} cycles could have this: {pair.Second.Name}"));
    }

    [Fact]
    public void The_order_of_the_lines_decides_nothing() => FsCheck.Check.One(Config.QuickThrowOnFailure.WithMaxTest(Runs), Prop.ForAll<int>(static seed =>
    {
        var random = new Random(seed);
        var cycle = Cycle.Of(random);
        var lines = Damages[random.Next(Damages.Length)].Damage(cycle, random) ?? cycle.Lines;
        var shuffled = lines.ToArray();
        random.Shuffle(shuffled);
        return Judge(lines) is var one && Judge(shuffled) is var other
            && (one.Acked, one.Kept, one.Bound, one.TokenReads) == (other.Acked, other.Kept, other.Bound, other.TokenReads)
            && CasesOf(one).Count == CasesOf(other).Count;
    }));

    private static CycleFindings Judge(IEnumerable<LedgerLine> lines) => Assert.Single(CycleChecker.Check(lines));

    private static List<string> CasesOf(CycleFindings found) =>
        [.. found.Lost, .. found.Different, .. found.Foreign, .. found.Duplicates, .. found.Refused, .. found.Split, .. found.Resurrected, .. found.Stale, .. found.Unexpected, .. found.Pages, .. found.Changed];

    /// <summary>What became of one memory in the store that does not err.</summary>
    private sealed record Memory(string Title, List<Operation> History, string? Hash, string Tier)
    {
        public bool IsShown => Hash is not null;

        public bool IsCertain => Writes.Any(static write => write.Outcome is Outcome.Acked or Outcome.StoredLocally);

        public bool IsDeleted => Writes.Any(static write => write is { Op: Operations.Delete, Outcome: Outcome.Acked or Outcome.StoredLocally });

        public bool IsKept => Writes.Any(static write => write.Outcome == Outcome.Acked) && !Writes.Any(static write => write.Op == Operations.Delete && write.Outcome != Outcome.Rejected);

        public bool IsRefused => Writes.All(static write => write.Outcome == Outcome.Rejected);

        private IEnumerable<Operation> Writes => History.Where(static operation => operation.Op != Operations.Read);

        public Holding On(string node) => new() { Cycle = 1, Node = node, Id = $"id-{Title}", Title = Title, Hash = Hash ?? "back", Tier = Tier };
    }

    /// <summary>A cycle in which all nodes hold what the store came to.</summary>
    private sealed record Cycle(List<Memory> Memories)
    {
        public List<LedgerLine> Lines => Of(Held);

        private List<Holding> Held => [.. from memory in Memories where memory.IsShown from node in Nodes select memory.On(node)];

        /// <summary>Clients that create, change, delete and read, with answers of all kinds; what is not answered takes effect or does not.</summary>
        public static Cycle Of(Random random)
        {
            long now = 0;
            return new([.. Enumerable.Range(0, random.Next(1, MostMemories)).Select(number =>
            {
                var (title, hash, tier, history) = ($"t{number}", (string?)null, "mid", new List<Operation>());
                var writes = random.Next(1, MostWrites);
                for (var turn = 0; turn < writes; turn++)
                {
                    var op = turn == 0 ? Operations.Create : random.Next(6) switch
                    {
                        0 => Operations.Delete,
                        1 or 2 => Operations.Promote,
                        _ => Operations.Update,
                    };
                    var outcome = random.Next(8) switch
                    {
                        0 => Outcome.Rejected,
                        1 => Outcome.Indeterminate,
                        2 => Outcome.StoredLocally,
                        _ => Outcome.Acked,
                    };
                    var content = op is Operations.Create or Operations.Update ? $"{title}-{turn}" : null;
                    if (outcome != Outcome.Rejected && (outcome != Outcome.Indeterminate || random.Next(2) == 0))
                    {
                        (hash, tier) = op switch
                        {
                            Operations.Delete => (null, tier),
                            Operations.Promote => (hash, "long"),
                            _ => (content, tier),
                        };
                    }

                    history.Add(Step(op, title, content, outcome));
                    if (turn == 0 && outcome is Outcome.Rejected or Outcome.Indeterminate || op == Operations.Delete)
                    {
                        // Its client knows of no memory that it could go on with.
                        break;
                    }

                    if (outcome == Outcome.Acked && random.Next(2) == 0)
                    {
                        history.Add(Step(Operations.Read, title, hash, Outcome.Acked) with { Token = true });
                    }
                }

                return new Memory(title, history, hash, tier);
            })]);

            Operation Step(string op, string title, string? content, Outcome outcome) => new()
            {
                Cycle = 1,
                Client = title,
                Op = op,
                Node = Nodes[random.Next(Nodes.Length)],
                Title = title,
                Id = outcome is Outcome.Acked or Outcome.StoredLocally ? $"id-{title}" : null,
                Hash = content,
                Start = ++now,
                End = ++now,
                Outcome = outcome,
            };
        }

        public List<LedgerLine>? WithoutOne(Random random, Func<Memory, bool> which)
        {
            var node = Nodes[random.Next(Nodes.Length)];
            return Pick(random, memory => memory.IsShown && which(memory)) is { } memory ? Of([.. Held.Where(holding => holding.Title != memory.Title || holding.Node != node)]) : null;
        }

        public List<LedgerLine>? WithoutAll(Random random) =>
            Pick(random, static memory => memory.IsKept) is { } memory ? Of([.. Held.Where(holding => holding.Title != memory.Title)]) : null;

        public List<LedgerLine>? With(Random random, Func<Holding, Holding> change)
        {
            // Of what no certain answer told the id, any id is right.
            if (Pick(random, static memory => memory is { IsShown: true, IsCertain: true }) is not { } memory)
            {
                return null;
            }

            var held = Held;
            var index = held.FindIndex(holding => holding.Title == memory.Title) + random.Next(Nodes.Length);
            held[index] = change(held[index]);
            return Of(held);
        }

        public List<LedgerLine>? Twice(Random random) =>
            Pick(random, static memory => memory.IsShown) is { } memory ? Of([.. Held, memory.On(Nodes[random.Next(Nodes.Length)])]) : null;

        public List<LedgerLine> Plus(Holding holding) => Of([.. Held, holding]);

        public List<LedgerLine>? Revived(Random random, Func<Memory, bool> which) =>
            Pick(random, which) is { } memory ? Of([.. Held, memory.On(Nodes[random.Next(Nodes.Length)])]) : null;

        public List<LedgerLine> Overstated(Random random)
        {
            var lines = Lines;
            var index = lines.FindIndex(line => line is NodeState) + random.Next(Nodes.Length);
            lines[index] = (NodeState)lines[index] with { Stated = ((NodeState)lines[index]).Stated + random.Next(1, 100) };
            return lines;
        }

        public List<LedgerLine>? WithBlindRead() => Memories.Find(static memory => memory.IsKept) is { History: [.., var last] }
            ? [.. Lines, last with { Op = Operations.Read, Token = true, Hash = null, Start = last.End, End = last.End + 1, Outcome = Outcome.Rejected, Status = 404 }]
            : null;

        private Memory? Pick(Random random, Func<Memory, bool> which) => Memories.Where(which).ToList() is { Count: > 0 } some ? some[random.Next(some.Count)] : null;

        private List<LedgerLine> Of(List<Holding> held) =>
        [
            .. Memories.SelectMany(static memory => memory.History),
            .. Nodes.Select(node => new NodeState { Cycle = 1, Node = node, Stated = held.Count(holding => holding.Node == node), Digest = "d" }),
            .. held,
        ];
    }
}
