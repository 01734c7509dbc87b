using OrleansMemory.Gate.Canaries;
using OrleansMemory.Gate.Faults;
using OrleansMemory.Gate.Nodes;

namespace OrleansMemory.Gate.Campaigns;

/// <summary>Settles what a campaign runs, before it runs: what was asked for, less what cannot run here.</summary>
internal static class ScopeChoice
{
    private const int QuickCycles = 2;

    /// <summary>One of each kind: a process, a network, a disk.</summary>
    private static readonly string[] QuickFaults = ["kill_primary_mid_write", "partition_minority", "restored_copy"];

    /// <summary>What can be asked of nodes that nobody may kill.</summary>
    private static readonly int[] GivenPhases = [1, 2];

    /// <exception cref="GateException">A name or number that there is not.</exception>
    public static CampaignScope Choose(GateOptions options, NodesPlan plan)
    {
        var isGiven = options.Given.Count > 0;
        var names = isGiven ? [.. options.Given.Select(static address => address.Authority)] : Enumerable.Range(0, plan.Count).Select(NodeSet.NameOf).ToList();
        var known = FaultInjector.All;
        foreach (var name in options.Faults ?? [])
        {
            if (!known.Any(fault => fault.Name == name))
            {
                throw new GateException($"there is no fault class '{name}': use {string.Join(", ", known.Select(static fault => fault.Name))}");
            }
        }

        var wanted = options.Faults ?? (options.Quick ? QuickFaults : [.. known.Select(static fault => fault.Name)]);
        var leftOut = known.Select(fault => (fault.Name, Why: fault.WhyNot(plan))).Where(static pair => pair.Why is not null).ToDictionary(static pair => pair.Name, static pair => pair.Why!);
        IReadOnlyList<int> phases = options.Phases ?? (isGiven ? GivenPhases : [.. Declaration.AllPhases]);
        if (phases.FirstOrDefault(phase => !Declaration.AllPhases.Contains(phase)) is var none and not 0)
        {
            throw new GateException($"there is no phase {none}: use 1 to 4");
        }

        if (isGiven && phases.Any(static phase => !GivenPhases.Contains(phase)))
        {
            throw new GateException("phases 3 and 4 start and kill nodes of their own: they cannot be run on nodes given by --nodes");
        }

        return new(
            ModeOf(options),
            isGiven ? "given" : options.Kind == NodesKind.Silo ? "silo" : "peers",
            names,
            phases,
            phases.Contains(4) ? [.. wanted.Where(name => !leftOut.ContainsKey(name))] : [],
            phases.Contains(4) ? leftOut : new Dictionary<string, string>(),
            options.Cycles ?? (options.Quick ? QuickCycles : Declaration.FullCycles),
            options.Writes ?? Declaration.FullWrites)
        {
            Canaries = options.WithCanaries ? [.. Canary.All.Where(canary => canary.IsQuick || !options.Quick).Select(static canary => canary.Plan.Name)] : [],
        };
    }

    private static string ModeOf(GateOptions options) =>
        options is { Phases: null, Faults: null, Cycles: null, Writes: null, WithCanaries: true, Given.Count: 0 } ? options.Quick ? CampaignModes.Quick : CampaignModes.Full : CampaignModes.Partial;
}
