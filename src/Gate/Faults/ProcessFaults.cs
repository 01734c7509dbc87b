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

internal sealed class PauseFault : FaultInjector
{
    public override string Name => "pause";

    public override string Description => "A node is suspended (SIGSTOP) for longer than a write waits for its quorum: its connections stay open, and nothing answers.";

    public override Task InjectAsync(NodeSet nodes, int victim, CancellationToken cancellation = default)
    {
        nodes.Suspend(victim);
        return Task.CompletedTask;
    }

    public override Task HealAsync(NodeSet nodes, int victim, CancellationToken cancellation = default)
    {
        nodes.Resume(victim);
        return Task.CompletedTask;
    }
}
