using System.Diagnostics;

namespace OrleansMemory.Compliance;

/// <summary>Waits on a condition with a deadline that says what it waited for.</summary>
public static class Eventually
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan Step = TimeSpan.FromMilliseconds(5);

    public static async Task HoldsAsync(string what, Func<Task<bool>> condition)
    {
        var started = Stopwatch.StartNew();
        while (!await condition())
        {
            Assert.True(started.Elapsed < Deadline, $"after {Deadline.TotalSeconds} s still not: {what}");
            await Task.Delay(Step);
        }
    }
}
