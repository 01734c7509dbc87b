using OrleansMemory.Core;

namespace OrleansMemory.Grains;

/// <summary>A grain that is a door to the engines of its silo's node, which are singletons: however many doors there are, they stay one.</summary>
public abstract class NodeGrain(MemoryNode node) : Grain
{
    protected MemoryNode Node => node;

    /// <exception cref="SiloUnavailableException">It was placed on a silo that is not its node's.</exception>
    public override Task OnActivateAsync(CancellationToken cancellationToken)
    {
        var own = node.Store.Log.Node;
        return this.GetPrimaryKeyString() == own
            ? Task.CompletedTask
            : throw new SiloUnavailableException($"this silo is {own}, not {this.GetPrimaryKeyString()}");
    }
}
