namespace OrleansMemory.Core.Replication;

/// <summary>
/// Keeps waits on the scheduler of whoever waits. The framework's combinators (WaitAsync, WhenAny) go on by way of the thread pool
/// when what they wait for was completed with asynchronous continuations; a plain await comes back to its own scheduler.
/// </summary>
internal static class OwnScheduler
{
    /// <summary>Ends as the task does, on the present scheduler.</summary>
    public static async Task OnOwnScheduler(this Task task) => await task;

    /// <inheritdoc cref="OnOwnScheduler(Task)"/>
    public static async Task<T> OnOwnScheduler<T>(this Task<T> task) => await task;
}
