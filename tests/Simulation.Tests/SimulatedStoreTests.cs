using System.Collections.Concurrent;
using OrleansMemory.Compliance;
using OrleansMemory.Core.Replication;
using OrleansMemory.Simulation.Disks;

namespace OrleansMemory.Simulation.Tests;

/// <summary>The store of the simulation keeps the promises of every other store: what holds over it holds over them.</summary>
public sealed class SimulatedStoreTests : StoreCompliance
{
    private readonly ConcurrentDictionary<string, SimulatedDisk> _disks = new();
    private long _incarnations;

    protected override ValueTask<IMemoryStore> OpenAsync(string name, string nodeId) =>
        new(_disks.GetOrAdd(name, static _ => new SimulatedDisk()).Open(nodeId, () => (ulong)Interlocked.Increment(ref _incarnations)));
}
