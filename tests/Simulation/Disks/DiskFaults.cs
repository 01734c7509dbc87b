using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Replication;
using OrleansMemory.Simulation.World;

namespace OrleansMemory.Simulation.Disks;

/// <summary>How a disk misbehaves, and how long it takes.</summary>
public sealed class DiskFaults(SimulatedWorld world, SimulatedTimeSource time)
{
    /// <summary>The longest fsync, in milliseconds.</summary>
    public double SlowestSync { get; set; } = 2;

    /// <summary>Of an fsync to fail.</summary>
    public double SyncErrors { get; set; }

    /// <summary>Of a write to fail with nothing written.</summary>
    public double WriteErrors { get; set; }

    public bool IsFull { get; set; }

    /// <summary>Of a commit whose answer is lost, stored or not; and of the question after it to fail.</summary>
    public double Doubts { get; set; }

    public void Mend()
    {
        SlowestSync = 2;
        SyncErrors = 0;
        WriteErrors = 0;
        IsFull = false;
        Doubts = 0;
    }

    public bool IsInDoubt() => world.Chance(Doubts);

    public bool IsStored() => world.Chance(0.5);

    /// <summary>A crash leaves what was written but not synced.</summary>
    public bool KeepsVolatile() => world.Chance(0.4);

    internal void BeforeRead() => world.Ask();

    /// <exception cref="MemoryException">The write fails; nothing is written.</exception>
    internal void BeforeWrite()
    {
        if (IsFull)
        {
            throw new MemoryException(ErrorKind.StoreFull, "the disk is full; nothing was stored");
        }

        if (world.Chance(WriteErrors))
        {
            throw new MemoryException(ErrorKind.StoreFailed, "the write failed");
        }
    }

    /// <exception cref="StoreFatalException">What is on disk is not known.</exception>
    internal async Task SyncAsync(SimulatedDisk disk)
    {
#if FAULT_INJECTION
        if (Core.Faults.Active == Core.Fault.AckBeforeSync)
        {
            disk.Show();
            world.After(world.Between(5, 50), disk.SyncLate);
            return;
        }

#endif
        await Task.Delay(world.Between(0.05, SlowestSync), time());
        if (world.Chance(SyncErrors))
        {
            throw new StoreFatalException("fsync failed", new IOException("I/O error"));
        }

        disk.Sync();
        if (world.Chance(0.3))
        {
            // The answer of the disk comes later than its durability.
            await Task.Delay(world.Between(0.05, SlowestSync), time());
        }
    }
}

/// <summary>The time of the process that uses the disk now.</summary>
public delegate TimeProvider SimulatedTimeSource();
