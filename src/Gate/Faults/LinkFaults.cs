using OrleansMemory.Gate.Nodes;

namespace OrleansMemory.Gate.Faults;

/// <summary>A fault of the network between one node and all others.</summary>
internal abstract class LinkFault : FaultInjector
{
    public override string? WhyNot(NodesPlan plan) => plan.Kind == NodesKind.Silo ? SocketOwner.WhyNot : null;

    public override NodesPlan Require(NodesPlan plan) => plan with { WithLinks = true };

    public override Task InjectAsync(NodeSet nodes, int victim, CancellationToken cancellation = default) => SetAsync(nodes, victim, isFaulty: true);

    public override Task HealAsync(NodeSet nodes, int victim, CancellationToken cancellation = default) => SetAsync(nodes, victim, isFaulty: false);

    /// <param name="outgoing">Carries the victim's calls.</param>
    /// <param name="incoming">Carries calls to the victim.</param>
    protected abstract void Set(LinkProxy outgoing, LinkProxy incoming, bool isFaulty);

    protected static IEnumerable<(LinkProxy Outgoing, LinkProxy Incoming)> LinksOf(NodeSet nodes, int victim) =>
        Enumerable.Range(0, nodes.Count).Where(other => other != victim).Select(other => (
            nodes.Link(victim, other) ?? throw new GateException("the nodes were started without links"),
            nodes.Link(other, victim)!));

    private Task SetAsync(NodeSet nodes, int victim, bool isFaulty)
    {
        foreach (var (outgoing, incoming) in LinksOf(nodes, victim))
        {
            Set(outgoing, incoming, isFaulty);
        }

        return Task.CompletedTask;
    }
}

internal sealed class PartitionFault : LinkFault
{
    public override string Name => "partition_minority";

    public override string Description => "One node is cut off from all others, both ways; clients still reach it.";

    public override bool Silences => true;

    protected override void Set(LinkProxy outgoing, LinkProxy incoming, bool isFaulty)
    {
        outgoing.RequestsCut = outgoing.AnswersCut = isFaulty;
        incoming.RequestsCut = incoming.AnswersCut = isFaulty;
    }
}

internal sealed class OneWayCutFault : LinkFault
{
    public override string Name => "cut_one_way";

    public override string Description => "Nothing that one node sends reaches the others, neither its calls nor its answers; it still hears them.";

    public override bool Silences => true;

    protected override void Set(LinkProxy outgoing, LinkProxy incoming, bool isFaulty)
    {
        outgoing.RequestsCut = isFaulty;
        incoming.AnswersCut = isFaulty;
    }
}

internal sealed class LatencyFault : LinkFault
{
    private const int Milliseconds = 400;

    public override string Name => "latency";

    public override string Description => "Every call from and to one node takes 400 ms more.";

    protected override void Set(LinkProxy outgoing, LinkProxy incoming, bool isFaulty) =>
        outgoing.DelayMilliseconds = incoming.DelayMilliseconds = isFaulty ? Milliseconds : 0;
}

internal sealed class BandwidthFault : LinkFault
{
    private const int BytesPerSecond = 16 << 10;

    public override string Name => "bandwidth";

    public override string Description => "Each link from and to one node passes 16 KiB in a second.";

    protected override void Set(LinkProxy outgoing, LinkProxy incoming, bool isFaulty) =>
        outgoing.BytesPerSecond = incoming.BytesPerSecond = isFaulty ? BytesPerSecond : 0;
}

internal sealed class ResetFault : LinkFault, IDisposable
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(50);

    private CancellationTokenSource? _stop;
    private Task _breaking = Task.CompletedTask;

    public override string Name => "reset";

    public override string Description => "All connections from and to one node are reset 20 times in a second.";

    public override Task InjectAsync(NodeSet nodes, int victim, CancellationToken cancellation = default)
    {
        _stop = new();
        _breaking = BreakAsync([.. LinksOf(nodes, victim)], _stop.Token);
        return Task.CompletedTask;
    }

    public override async Task HealAsync(NodeSet nodes, int victim, CancellationToken cancellation = default)
    {
        if (_stop is not null)
        {
            await _stop.CancelAsync();
            await _breaking;
            Dispose();
        }
    }

    public void Dispose()
    {
        _stop?.Dispose();
        _stop = null;
    }

    protected override void Set(LinkProxy outgoing, LinkProxy incoming, bool isFaulty)
    {
        outgoing.Reset();
        incoming.Reset();
    }

    private async Task BreakAsync(List<(LinkProxy Outgoing, LinkProxy Incoming)> links, CancellationToken stopped)
    {
        while (!stopped.IsCancellationRequested)
        {
            foreach (var (outgoing, incoming) in links)
            {
                Set(outgoing, incoming, isFaulty: true);
            }

            await Task.Delay(Interval, CancellationToken.None);
        }
    }
}
