using Orleans.Placement;
using Orleans.Runtime.Placement;

namespace OrleansMemory.Grains;

/// <summary>The grain lives on the silo whose name is its key, and nowhere else.</summary>
[AttributeUsage(AttributeTargets.Class)]
public sealed class NodePlacementAttribute() : PlacementAttribute(NodePlacement.Instance);

/// <inheritdoc cref="NodePlacementAttribute"/>
[GenerateSerializer, Immutable, Alias("om.NodePlacement")]
public sealed class NodePlacement : PlacementStrategy
{
    internal static NodePlacement Instance { get; } = new();
}

/// <summary>Of the active silos of a name the one that was started last.</summary>
public sealed class NodePlacementDirector(IClusterMembershipService membership) : IPlacementDirector
{
    /// <exception cref="SiloUnavailableException">No silo of this name is active.</exception>
    public Task<SiloAddress> OnAddActivation(PlacementStrategy strategy, PlacementTarget target, IPlacementContext context)
    {
        var node = target.GrainIdentity.Key.ToString()!;
        return Task.FromResult(Members.Find(membership, node) ?? throw new SiloUnavailableException($"no silo named {node} is active"));
    }
}

internal static class Members
{
    /// <summary>The names of the active silos, each once.</summary>
    public static IEnumerable<string> Active(IClusterMembershipService membership) =>
        membership.CurrentSnapshot.Members.Values.Where(static member => member.Status == SiloStatus.Active).Select(static member => member.Name).Distinct();

    /// <summary>The active silo of a name that was started last; null when there is none.</summary>
    public static SiloAddress? Find(IClusterMembershipService membership, string node)
    {
        SiloAddress? newest = null;
        foreach (var (address, member) in membership.CurrentSnapshot.Members)
        {
            if (member.Status == SiloStatus.Active && member.Name == node && (newest is null || address.Generation > newest.Generation))
            {
                newest = address;
            }
        }

        return newest;
    }
}
