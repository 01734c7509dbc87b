using OrleansMemory.Gate.Nodes;

namespace OrleansMemory.Gate.Faults;

internal sealed class KillFault(string name, FaultVictim victim, string description) : FaultInjector
{
    public override string Name => name;

    public override string Description => description;

    public override FaultVictim Victim => victim;

    public override Task InjectAsync(NodeSet nodes, int victim, CancellationToken cancellation = default) => nodes.KillAsync(victim);

    public override Task HealAsync(NodeSet nodes, int victim, CancellationToken cancellation = default) => nodes.StartNodeAsync(victim);
}

internal sealed class KillAllFault : FaultInjector
{
    public override string Name => "kill_all";

    public override string Description => "All nodes are killed (SIGKILL) at the same instant while they write, and started again.";

    public override Task InjectAsync(NodeSet nodes, int victim, CancellationToken cancellation = default) => nodes.KillAsync([.. Enumerable.Range(0, nodes.Count)]);

    public override Task HealAsync(NodeSet nodes, int victim, CancellationToken cancellation = default) =>
        Task.WhenAll(Enumerable.Range(0, nodes.Count).Select(nodes.StartNodeAsync));
}

internal sealed class PauseFault : FaultInjector
{
    public override string Name => "pause";

    public override string Description => "A node is suspended (SIGSTOP) for longer than a write waits for its quorum: its connections stay open, and nothing answers.";

    public override bool Silences => true;

    public override Task InjectAsync(NodeSet nodes, int victim, CancellationToken cancellation = default) => nodes.SuspendAsync(victim);

    public override Task HealAsync(NodeSet nodes, int victim, CancellationToken cancellation = default) => nodes.ResumeAsync(victim);
}

internal sealed class AwayFault : FaultInjector
{
    public override string Name => "away";

    public override string Description => "A node is shut down while the others write and delete, and comes back with what it had.";

    public override bool WantsDeletes => true;

    public override Task InjectAsync(NodeSet nodes, int victim, CancellationToken cancellation = default) => nodes.StopNodeAsync(victim);

    public override Task HealAsync(NodeSet nodes, int victim, CancellationToken cancellation = default) => nodes.StartNodeAsync(victim);
}

internal sealed class RollingRestartFault : FaultInjector
{
    private static readonly TimeSpan ReadyDeadline = TimeSpan.FromSeconds(60);

    public override string Name => "rolling_restart";

    public override string Description => "Each node in turn is shut down, started again, and waited for.";

    public override Task InjectAsync(NodeSet nodes, int victim, CancellationToken cancellation = default) => nodes.StopNodeAsync(victim);

    /// <summary>Restarts the others too, one after the other.</summary>
    /// <exception cref="TimeoutException">A node is not ready within a minute after its start.</exception>
    public override async Task HealAsync(NodeSet nodes, int victim, CancellationToken cancellation = default)
    {
        await nodes.StartNodeAsync(victim);
        for (var next = 1; next < nodes.Count; next++)
        {
            await nodes.WaitReadyAsync(ReadyDeadline, cancellation);
            var node = (victim + next) % nodes.Count;
            await nodes.StopNodeAsync(node);
            await nodes.StartNodeAsync(node);
        }
    }
}
