namespace OrleansMemory.Core.Replication;

/// <summary>Wakes who reads the log, or what came from elsewhere beside it.</summary>
internal sealed class CommitSignal
{
    private TaskCompletionSource _next = NewSource();

    /// <summary>Ends with the next commit that adds to the log or changes an entry.</summary>
    public Task Next => Volatile.Read(ref _next).Task;

    /// <summary>Called with every commit, on the writer.</summary>
    public void Notice(ChangeSet changes)
    {
        if (changes.Log.Count > 0 || changes.Entries.Count > 0)
        {
            Interlocked.Exchange(ref _next, NewSource()).SetResult();
        }
    }

    private static TaskCompletionSource NewSource() => new(TaskCreationOptions.RunContinuationsAsynchronously);
}
