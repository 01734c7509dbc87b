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

    /// <summary>What it knows of itself among its peers, to begin with. Who needs it to hear of commits says so.</summary>
    public async Task<ReplicaCondition> ConditionAsync(ReplicaSetSettings settings, Floors floors = default) =>
        new(store, settings, await store.ReadVectorAsync(), floors, new(store.Log, 1), []);

    public PeerSession Session(ReplicaSetSettings settings, ReplicaCondition condition, TimeProvider time) => new(store, writer, settings, new(time), time, condition);

    /// <summary>Writes memories of its own, in one transaction.</summary>
    public Task WriteAsync(params IReadOnlyList<string> ids) => writer.RunAsync(async session =>
    {
        foreach (var id in ids)
        {
            await WriteAsync(session, id);
        }

        return 0;
    });

    /// <summary>Writes a memory as the node that the session is of.</summary>
    public static async Task WriteAsync(WriteSession session, string id)
    {
        var stamp = session.NextStamp();
        await session.PutAsync(MemoryCodec.Decode(Rows.Put(id, 1, stamp.Clock, stamp.Log.Node).Body), stamp);
    }

    /// <summary>Decides a delete of its own.</summary>
    public Task DeleteAsync(string id) => writer.RunAsync(async session =>
    {
        await session.DeleteAsync(new(id, "ns", session.NextStamp(), session.Now));
        return 0;
    });

    public async ValueTask DisposeAsync()
    {
        await writer.DisposeAsync();
        await store.DisposeAsync();
    }
}
