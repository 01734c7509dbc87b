namespace OrleansMemory.Core.Replication;

/// <summary>Lets those that name one key go one after the other, in the order in which they came. Holds as many keys as are in use.</summary>
public sealed class KeyedTurns
{
    private readonly Lock _gate = new();

    /// <summary>Ends with the last one that came for a key.</summary>
    private readonly Dictionary<string, Task> _last = new(StringComparer.Ordinal);

    public async Task<T> RunAsync<T>(string key, Func<Task<T>> act)
    {
        var turn = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        Task? before;
        lock (_gate)
        {
            before = _last.GetValueOrDefault(key);
            _last[key] = turn.Task;
        }

        try
        {
            if (before is not null)
            {
                await before;
            }

            return await act();
        }
        finally
        {
            lock (_gate)
            {
                if (_last[key] == turn.Task)
                {
                    _last.Remove(key);
                }
            }

            turn.SetResult();
        }
    }
}
