using OrleansMemory.Gate.Nodes;

namespace OrleansMemory.Gate.Faults;

internal sealed class ClockJumpFault : FaultInjector
{
    private static readonly TimeSpan Hour = TimeSpan.FromHours(1);

    private bool _wasAhead;

    public override string Name => "clock_jump";

    public override string Description => "The wall clock of a node jumps by an hour, ahead and back by turns, and later to the right time again.";

    public override string? WhyNot(NodesPlan plan) => FakeClock.Missing;

    public override NodesPlan Require(NodesPlan plan) => plan with { WithClocks = true };

    public override Task InjectAsync(NodeSet nodes, int victim, CancellationToken cancellation = default)
    {
        _wasAhead = !_wasAhead;
        return SetAsync(nodes, victim, _wasAhead ? Hour : -Hour);
    }

    public override Task HealAsync(NodeSet nodes, int victim, CancellationToken cancellation = default) => SetAsync(nodes, victim, TimeSpan.Zero);

    private static Task SetAsync(NodeSet nodes, int victim, TimeSpan ahead)
    {
        var clock = nodes.ClockOf(victim) ?? throw new GateException("the nodes were started without clocks of their own");
        clock.Set(ahead);
        return Task.Delay(clock.Lag);
    }
}
