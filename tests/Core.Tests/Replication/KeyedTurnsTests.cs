using OrleansMemory.Core.Replication;

namespace OrleansMemory.Core.Tests.Replication;

/// <summary>Requests that carry one key.</summary>
public sealed class KeyedTurnsTests
{
    private readonly KeyedTurns _turns = new();

    [Fact]
    public async Task Those_of_one_key_go_one_after_the_other_and_those_of_another_at_once()
    {
        var (first, second) = (new TaskCompletionSource<int>(), new TaskCompletionSource<int>());
        var begun = new List<int>();
        var turns = new[] { RunAsync("x", 1, first.Task), RunAsync("x", 2, second.Task), RunAsync("x", 3, Task.FromResult(3)), RunAsync("y", 4, Task.FromResult(4)) };
        Assert.Equal([1, 4], begun);
        Assert.Equal(4, await turns[3]);
        first.SetResult(1);
        Assert.Equal(1, await turns[0]);
        second.SetException(new InvalidOperationException("refused"));
        await Assert.ThrowsAsync<InvalidOperationException>(() => turns[1]);
        Assert.Equal(3, await turns[2]);
        Assert.Equal([1, 4, 2, 3], begun);
        Assert.Equal(5, await RunAsync("x", 5, Task.FromResult(5)));

        Task<int> RunAsync(string key, int number, Task<int> end) => _turns.RunAsync(key, () =>
        {
            begun.Add(number);
            return end;
        });
    }
}
