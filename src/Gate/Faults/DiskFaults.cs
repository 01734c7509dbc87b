using OrleansMemory.Gate.Nodes;

namespace OrleansMemory.Gate.Faults;

internal sealed class ReplacedEmptyFault : FaultInjector
{
    public override string Name => "replaced_empty";

    public override string Description => "A node is killed and comes back with an empty disk.";

    public override bool DestroysDisk => true;

    public override async Task InjectAsync(NodeSet nodes, int victim, CancellationToken cancellation = default)
    {
        await nodes.KillAsync(victim);
        await nodes.ReplaceByEmptyAsync(victim);
    }

    public override Task HealAsync(NodeSet nodes, int victim, CancellationToken cancellation = default) => nodes.StartNodeAsync(victim);
}

internal sealed class RestoredCopyFault : FaultInjector
{
    public override string Name => "restored_copy";

    public override string Description => "A node is killed and comes back with the disk that it had before the writes of the cycle.";

    public override bool DestroysDisk => true;

    public override async Task PrepareAsync(NodeSet nodes, int victim, CancellationToken cancellation = default)
    {
        await nodes.StopNodeAsync(victim);
        await nodes.CopyDatabaseAsync(victim);
        await nodes.StartNodeAsync(victim);
    }

    public override async Task InjectAsync(NodeSet nodes, int victim, CancellationToken cancellation = default)
    {
        await nodes.KillAsync(victim);
        await nodes.RestoreCopyAsync(victim);
    }

    public override Task HealAsync(NodeSet nodes, int victim, CancellationToken cancellation = default) => nodes.StartNodeAsync(victim);
}
