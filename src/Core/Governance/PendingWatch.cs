using OrleansMemory.Core.Replication;

namespace OrleansMemory.Core.Governance;

/// <summary>
/// Looks after pending actions when the node starts, and whenever a voice was written here or came from elsewhere: the node that began an action decides it,
/// wherever its voters are.
/// </summary>
internal sealed class PendingWatch(TimeProvider time) : IAsyncDisposable
{
    private static readonly TimeSpan PauseAfterFailure = TimeSpan.FromSeconds(5);

    private readonly CancellationTokenSource _stopping = new();
    private TaskCompletionSource _noticed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Task _loop = Task.CompletedTask;

    /// <summary>Called with every commit, on the writer.</summary>
    public void Notice(ChangeSet changes)
    {
        foreach (var entry in changes.Entries)
        {
            if (entry.Key.Kind == MutationKind.Vote)
            {
                _noticed.TrySetResult();
                return;
            }
        }
    }

    /// <param name="resolve">Decides and carries out what can be; throws when something has to be tried again.</param>
    public void Start(Func<Task> resolve, TaskScheduler scheduler) =>
        _loop = Task.Factory.StartNew(() => LoopAsync(resolve), CancellationToken.None, TaskCreationOptions.DenyChildAttach, scheduler).Unwrap();

    public async ValueTask DisposeAsync()
    {
        _stopping.Cancel();
        _noticed.TrySetResult();
        await _loop;
        _stopping.Dispose();
    }

    private async Task LoopAsync(Func<Task> resolve)
    {
        while (!_stopping.IsCancellationRequested)
        {
            try
            {
                await resolve();
                await _noticed.Task;
                _noticed = new(TaskCreationOptions.RunContinuationsAsynchronously);
            }
            catch (Exception)
            {
                // Whatever it was, what waits is looked after again.
                await PauseAsync();
            }
        }
    }

    private async Task PauseAsync()
    {
        try
        {
            await Task.Delay(PauseAfterFailure, time, _stopping.Token);
        }
        catch (OperationCanceledException)
        {
            // The loop ends.
        }
    }
}
