using OrleansMemory.Gate.Faults;

namespace OrleansMemory.Gate.Ledgers;

/// <summary>
/// Judges a cycle by identities and hashes: what every client asked and was answered, against what every node holds in the end. A memory is
/// known by its title, which is unique in the campaign, so that one whose id nobody was told is known too.
/// </summary>
public sealed class CycleChecker
{
    private const string Mid = "mid";
    private const string Long = "long";

    private readonly List<string> _lost = [];
    private readonly List<string> _different = [];
    private readonly List<string> _foreign = [];
    private readonly List<string> _duplicates = [];
    private readonly List<string> _refused = [];
    private readonly List<string> _split = [];
    private readonly List<string> _resurrected = [];
    private readonly List<string> _stale = [];
    private readonly List<string> _unexpected = [];
    private readonly List<string> _pages = [];
    private readonly List<string> _changed = [];
    private readonly Dictionary<string, int> _keptOn = [];
    private readonly Injection? _injection;
    private readonly List<NodeState> _nodes;
    private readonly bool _anyMayStore;
    private readonly bool _losesDisk;
    private long _kept;
    private long _tokenReads;

    private CycleChecker(IReadOnlyCollection<LedgerLine> lines, bool anyMayStore)
    {
        _injection = lines.OfType<Injection>().LastOrDefault();
        _nodes = [.. lines.OfType<NodeState>()];
        _anyMayStore = anyMayStore;
        _losesDisk = FaultInjector.All.Any(fault => fault.DestroysDisk && fault.Name == _injection?.Fault);
    }

    /// <summary>Judges each cycle of a ledger, in order.</summary>
    /// <param name="anyMayStore">Another node than the one that was asked may have stored a write, as in a cluster of silos.</param>
    public static IReadOnlyList<CycleFindings> Check(IEnumerable<LedgerLine> ledger, bool anyMayStore = false) =>
        [.. ledger.GroupBy(static line => line.Cycle).OrderBy(static cycle => cycle.Key).Select(cycle => CheckOne(cycle.Key, [.. cycle], anyMayStore))];

    private static CycleFindings CheckOne(int cycle, List<LedgerLine> lines, bool anyMayStore)
    {
        var checker = new CycleChecker(lines, anyMayStore);
        var operations = lines.OfType<Operation>().ToList();
        var held = lines.OfType<Holding>().ToList();
        var later = lines.OfType<LaterReading>().ToList();
        checker.CheckLists(held);
        checker.CheckLater(held, later);
        var byTitle = held.ToLookup(static holding => holding.Title);
        var titles = operations.GroupBy(static operation => operation.Title).ToDictionary(static group => group.Key, static group => group.OrderBy(static operation => operation.Start).ToList());
        foreach (var (title, history) in titles)
        {
            checker.CheckMemory(title, history, byTitle[title].DistinctBy(static holding => holding.Node).ToDictionary(static holding => holding.Node));
            checker.CheckReads(history);
        }

        checker._foreign.AddRange(held.Where(holding => !titles.ContainsKey(holding.Title)).Select(static holding => $"{holding.Id} ({holding.Title}) on {holding.Node}"));
        checker._unexpected.AddRange(operations.Where(static operation => operation.Outcome == Outcome.Unexpected)
            .Select(static operation => $"{operation.Op} of {operation.Title} on {operation.Node}: {operation.Status} {operation.Code}"));
        return new()
        {
            Cycle = cycle,
            Acked = operations.LongCount(static operation => operation is { Outcome: Outcome.Acked, Op: not Operations.Read }),
            Kept = checker._kept,
            Bound = checker._kept == 0 ? 0 : checker._nodes.Select(node => (decimal)checker._keptOn.GetValueOrDefault(node.Node) / checker._kept).DefaultIfEmpty(0).Min(),
            Lost = checker._lost,
            Different = checker._different,
            Foreign = checker._foreign,
            Duplicates = checker._duplicates,
            Refused = checker._refused,
            Split = checker._split,
            Resurrected = checker._resurrected,
            Stale = checker._stale,
            TokenReads = checker._tokenReads,
            Unexpected = checker._unexpected,
            Pages = checker._pages,
            Changed = checker._changed,
            LaterReadings = later.Select(static reading => reading.Node).Distinct().Count(),
            Deletes = operations.LongCount(static operation => operation is { Outcome: Outcome.Acked, Op: Operations.Delete }),
            InFlight = checker._injection is { } injection
                ? operations.Where(operation => operation.Op != Operations.Read && operation.Start <= injection.InForce && operation.End >= injection.Injected)
                    .CountBy(static operation => operation.Op).ToDictionary()
                : new Dictionary<string, int>(),
            Nodes = checker._nodes.Select(static node => node.Node).Distinct().Count(),
            Digests = checker._nodes.Select(static node => node.Digest).Distinct().Count(),
            Injection = checker._injection,
        };
    }

    private void CheckLists(List<Holding> held)
    {
        foreach (var list in held.GroupBy(static holding => holding.Node))
        {
            _duplicates.AddRange(list.GroupBy(static holding => holding.Id).Where(static same => same.Count() > 1).Select(same => $"id {same.Key} on {list.Key}"));
            _duplicates.AddRange(list.GroupBy(static holding => holding.Title).Where(static same => same.Count() > 1).Select(same => $"title {same.Key} on {list.Key}"));
        }

        foreach (var node in _nodes)
        {
            var listed = held.Count(holding => holding.Node == node.Node);
            if (listed != node.Stated)
            {
                _pages.Add($"{node.Node} lists {listed} and states {node.Stated}");
            }
        }
    }

    private void CheckLater(List<Holding> held, List<LaterReading> later) => _changed.AddRange(
        from reading in later
        let before = held.Where(holding => holding.Node == reading.Node).ToList()
        where LaterReading.FingerprintOf(before) != reading.Fingerprint
        select $"{reading.Node} listed {before.Count} then and {reading.Count} in the end");

    private void CheckMemory(string title, List<Operation> history, Dictionary<string, Holding> on)
    {
        var writes = history.Where(static operation => operation.Op != Operations.Read).ToList();
        var certain = writes.Where(IsCertain).ToList();
        var possible = writes.Where(static write => write.Outcome is not Outcome.Rejected).Except(certain).ToList();
        var isDeleted = certain.Any(static write => write.Op == Operations.Delete);
        if (isDeleted)
        {
            _resurrected.AddRange(on.Keys.Select(node => $"{title} on {node}"));
            return;
        }

        // Whoever changed it saw it.
        var exists = certain.Count > 0;
        var mayBeDeleted = possible.Any(static write => write.Op == Operations.Delete);
        if (exists && !mayBeDeleted)
        {
            var acked = certain.Any(static write => write.Outcome == Outcome.Acked);
            _kept += acked ? 1 : 0;
            foreach (var node in _nodes.Select(static node => node.Node))
            {
                if (!on.ContainsKey(node))
                {
                    (acked ? _lost : _split).Add($"{title} on {node}");
                }
                else if (acked)
                {
                    _keptOn[node] = _keptOn.GetValueOrDefault(node) + 1;
                }
            }
        }
        else if (!exists && possible.Count == 0)
        {
            _refused.AddRange(on.Keys.Select(node => $"{title} on {node}"));
        }
        else if (on.Count > 0 && on.Count < _nodes.Count)
        {
            _split.Add($"{title} only on {string.Join(", ", on.Keys)}");
        }

        CheckState(title, certain, possible, on);
    }

    private void CheckState(string title, List<Operation> certain, List<Operation> possible, Dictionary<string, Holding> on)
    {
        var ids = certain.Concat(possible).Select(static write => write.Id).Where(static id => id is not null).ToHashSet();
        var hashes = HashesOf(certain, possible);
        var tiers = TiersOf(certain, possible);
        foreach (var holding in on.Values)
        {
            if (ids.Count > 0 && !ids.Contains(holding.Id))
            {
                _different.Add($"{title} is {holding.Id} on {holding.Node}, and was answered as {string.Join(", ", ids)}");
            }
            else if (!hashes.Contains(holding.Hash))
            {
                _different.Add($"{title} on {holding.Node}: no write explains its content");
            }
            else if (!tiers.Contains(holding.Tier))
            {
                _different.Add($"{title} on {holding.Node}: no write explains its tier {holding.Tier}");
            }
        }

        if (on.Values.Select(static holding => (holding.Id, holding.Hash, holding.Tier)).Distinct().Count() > 1)
        {
            _different.Add($"{title} is not the same on {string.Join(", ", on.Keys)}");
        }
    }

    /// <summary>What a memory may say: the last content that is certain, or any that a write brought whose fate its client does not know.</summary>
    private static HashSet<string?> HashesOf(IEnumerable<Operation> certain, IEnumerable<Operation> possible)
    {
        static bool SetsContent(Operation write) => write.Op is Operations.Create or Operations.Update;
        var hashes = possible.Where(SetsContent).Select(static write => write.Hash).ToHashSet();
        if (certain.LastOrDefault(SetsContent) is { } last)
        {
            hashes.Add(last.Hash);
        }

        return hashes;
    }

    /// <summary>
    /// What a client is shown of its own memory, and what it is told is not there. A client with a token may ask any node; one without stays with
    /// the node that made the memory, which knows of it unless it lost its disk.
    /// </summary>
    private void CheckReads(List<Operation> history)
    {
        foreach (var asked in history.Where(operation => IsTold(operation) && (operation.Token == true || !_losesDisk)))
        {
            _tokenReads += asked is { Op: Operations.Read, Token: true } ? 1 : 0;
            var before = history.Where(write => write.Op != Operations.Read && write.End <= asked.Start && write.Outcome != Outcome.Rejected).ToList();
            var acked = before.Where(static write => write.Outcome == Outcome.Acked).ToList();
            var others = before.Except(acked).ToList();
            var isShown = asked.Outcome == Outcome.Acked;
            var deleted = acked.Any(static write => write.Op == Operations.Delete);
            var mayBeDeleted = deleted || others.Any(static write => write.Op == Operations.Delete);
            if (isShown
                ? deleted || !HashesOf(acked, others).Contains(asked.Hash) || (asked.Tier is { } tier && !TiersOf(acked, others).Contains(tier))
                : acked.Count > 0 && !mayBeDeleted)
            {
                _stale.Add($"{asked.Op} of {asked.Title} by {asked.Client} on {asked.Node}");
            }
        }

        static bool IsTold(Operation operation) => operation.Status == 404 || operation is { Op: Operations.Read, Outcome: Outcome.Acked };
    }

    private static HashSet<string> TiersOf(IEnumerable<Operation> certain, IEnumerable<Operation> possible) =>
        certain.Any(static write => write.Op == Operations.Promote) ? [Long]
            : possible.Any(static write => write.Op == Operations.Promote) ? [Mid, Long]
            : [Mid];

    /// <summary>It is everywhere in the end: acknowledged, or on the disk of a node that was not lost.</summary>
    private bool IsCertain(Operation write) =>
        write.Outcome == Outcome.Acked || (write.Outcome == Outcome.StoredLocally && !(_losesDisk && (_anyMayStore || write.Node == _injection!.Victim)));
}
