using Microsoft.Extensions.DependencyInjection;

namespace OrleansMemory.Grains;

/// <summary>
/// The cluster as the engines of this process reach it. They run before the silo joins and after it left: meanwhile nothing is
/// reached, and says so.
/// </summary>
/// <param name="problem">Why it cannot be reached at first.</param>
public sealed class ClusterConnection(string problem = "the silo has not joined the cluster yet")
{
    private volatile Joined? _joined;
    private volatile string _problem = problem;

    /// <summary>Why the cluster cannot be reached; null when it can.</summary>
    public string? Problem => _joined is null ? _problem : null;

    /// <summary>What is wrong and keeps nobody from the cluster yet; null when nothing is.</summary>
    public string? Warning { get; set; }

    /// <summary>The silo is active, or the client has found one.</summary>
    public void Open(IServiceProvider services) =>
        _joined = new(services.GetRequiredService<IGrainFactory>(), services.GetService<IClusterMembershipService>());

    /// <summary>The silo or client leaves.</summary>
    public void Close(string problem)
    {
        _problem = problem;
        _joined = null;
    }

    /// <summary>Null while the cluster cannot be reached.</summary>
    internal IGrainFactory? Grains => _joined?.Grains;

    /// <summary>False when it is known that no silo of this name is active.</summary>
    internal bool MayBeUp(string node) => _joined is { Membership: { } membership } ? Members.Find(membership, node) is not null : _joined is not null;

    private sealed record Joined(IGrainFactory Grains, IClusterMembershipService? Membership);
}
