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

internal sealed class DiskFullFault : FaultInjector
{
    public override string Name => "disk_full";

    public override string Description => "The disk of a node has no byte left.";

    public override string? WhyNot(NodesPlan plan) => SmallDisk.WhyNot;

    public override NodesPlan Require(NodesPlan plan) => plan with { WithSmallDisks = true };

    public override Task InjectAsync(NodeSet nodes, int victim, CancellationToken cancellation = default)
    {
        DiskOf(nodes, victim).Fill();
        return Task.CompletedTask;
    }

    public override async Task HealAsync(NodeSet nodes, int victim, CancellationToken cancellation = default)
    {
        DiskOf(nodes, victim).Free();
        if (!nodes.IsRunning(victim))
        {
            await nodes.StartNodeAsync(victim);
        }
    }

    private static SmallDisk DiskOf(NodeSet nodes, int victim) => nodes.DiskOf(victim) ?? throw new GateException("the nodes were started without disks of their own");
}
