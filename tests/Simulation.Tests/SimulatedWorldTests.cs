using OrleansMemory.Simulation.World;

namespace OrleansMemory.Simulation.Tests;

/// <summary>A run that goes round in circles fails, and does not go on for ever.</summary>
public sealed class SimulatedWorldTests
{
    private readonly SimulatedWorld _world = new(new Random(1), window: 1);

    [Fact]
    public void Continuations_without_end_at_one_instant_fail() => Fails("the run has not ended after 1000 steps", static async _ =>
    {
        while (true)
        {
            await Task.Yield();
        }
    });

    [Fact]
    public void Timers_without_end_fail() => Fails("the run has not ended after 1000 steps", static async time =>
    {
        while (true)
        {
            await Task.Delay(TimeSpan.FromSeconds(1), time);
        }
    });

    [Fact]
    public void One_continuation_without_end_fails() => Fails("one continuation asked its clock and disk", static time =>
    {
        while (time.GetTimestamp() < TimeSpan.TicksPerSecond)
        {
        }

        return Task.FromResult(true);
    });

    private void Fails(string how, Func<TimeProvider, Task<bool>> endless)
    {
        var process = new SimulatedProcess(_world, "endless", 1);
        _world.RunUntil(process.RunAsync(() => endless(new SimulatedTime(_world, process, new()))), mostSteps: 1_000);
        Assert.StartsWith(how, _world.Failure, StringComparison.Ordinal);
    }
}
