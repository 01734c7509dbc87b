using OrleansMemory.Core.Replication;
using OrleansMemory.Simulation.Disks;

namespace OrleansMemory.Core.Tests.Replication;

/// <summary>A store in memory, with what writes to it and takes in the rows of others.</summary>
internal sealed class Node(IMemoryStore store, CommandWriter writer, Replica replica) : IAsyncDisposable
{
    public IMemoryStore Store => store;

    public CommandWriter Writer => writer;

    public Replica Replica => replica;

    /// <param name="scheduler">Of its writer; null: one of its own.</param>
    /// <param name="faults">Of its disk; null: none, and no delay.</param>
    public static async Task<Node> StartAsync(string name, TimeProvider time, TaskScheduler? scheduler = null, DiskFaults? faults = null)
    {
        ulong incarnation = 0;
        var store = new SimulatedDisk { Faults = faults }.Open(name, () => ++incarnation);
        var writer = await CommandWriter.StartAsync(store, scheduler ?? new ConcurrentExclusiveSchedulerPair().ExclusiveScheduler, time, new Random(1));
        return new(store, writer, new(writer, new(time)));
    }

    public async ValueTask DisposeAsync()
    {
        await writer.DisposeAsync();
        await store.DisposeAsync();
    }
}
