using System.Runtime.ExceptionServices;
using OrleansMemory.Simulation.World;

namespace OrleansMemory.Core.Tests.Replication;

/// <summary>Runs tests of what waits for minutes and hours: in one thread, and time passes only when nothing is ready.</summary>
internal static class VirtualTime
{
    /// <param name="act">Gets the world, its time, and the scheduler that everything in it runs on.</param>
    public static void Play(Func<SimulatedWorld, TimeProvider, TaskScheduler, Task> act)
    {
        Exception? failure = null;
        var thread = new Thread(() =>
        {
            try
            {
                var world = new SimulatedWorld(new Random(1), window: 1);
                var process = new SimulatedProcess(world, "test", 1);
                var ended = process.RunAsync(async () =>
                {
                    await act(world, new SimulatedTime(world, process, new()), process);
                    return true;
                });
                world.RunUntil(ended, mostSteps: 1_000_000);
                if (ended.IsCompleted)
                {
                    ended.GetAwaiter().GetResult();
                }

                Assert.Null(world.Failure);
            }
            catch (Exception exception)
            {
                failure = exception;
            }
        });
        thread.Start();
        thread.Join();
        if (failure is not null)
        {
            ExceptionDispatchInfo.Throw(failure);
        }
    }
}
