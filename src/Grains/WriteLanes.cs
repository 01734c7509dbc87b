namespace OrleansMemory.Grains;

/// <summary>
/// Gathers writes of a namespace on their way to its grain: while two calls are under way, the writes that come meanwhile wait and go
/// together in the next, so that a busy namespace costs one call for many writes and an idle one waits for nothing. Writes that
/// ask for different quorums travel apart: one that waits for all nodes holds up none that asks for less.
/// </summary>
/// <param name="send">Makes the call.</param>
internal sealed class WriteLanes(Func<string, WriteBatch, Task<AnswerBatch>> send, TimeProvider time)
{
    private const int Calls = 2;
    private const int BatchWrites = 256;

    /// <summary>The first write of a batch goes whatever its size.</summary>
    private const int BatchBytes = 1 << 20;

    /// <summary>A call that takes longer, as one to a silo that died, holds up no other.</summary>
    private static readonly TimeSpan LongCall = TimeSpan.FromSeconds(1);

    private readonly Lock _gate = new();
    private readonly Dictionary<(string Namespace, string? Quorum), Lane> _lanes = [];

    /// <summary>Lanes that are not empty.</summary>
    public int Count
    {
        get
        {
            lock (_gate)
            {
                return _lanes.Count;
            }
        }
    }

    /// <exception cref="OrleansException">The call failed.</exception>
    public Task<AnswerMessage> SendAsync(string @namespace, string? quorum, byte[] command)
    {
        var waiting = new Waiting(command, new(TaskCreationOptions.RunContinuationsAsynchronously));
        var key = (@namespace, quorum);
        lock (_gate)
        {
            if (!_lanes.TryGetValue(key, out var lane))
            {
                _lanes[key] = lane = new();
            }

            lane.Queue.Enqueue(waiting);
            if (lane.UnderWay == Calls)
            {
                return waiting.Answer.Task;
            }

            lane.UnderWay++;
        }

        _ = RunAsync(key);
        return waiting.Answer.Task;
    }

    /// <summary>Makes one call after the other until nothing waits.</summary>
    private async Task RunAsync((string Namespace, string? Quorum) key)
    {
        while (Next(key) is { Count: > 0 } batch)
        {
            var call = CallAsync(key.Namespace, batch);
            if (!call.IsCompleted)
            {
                using var waiting = new CancellationTokenSource();
                await Task.WhenAny(call, Task.Delay(LongCall, time, waiting.Token));
                await waiting.CancelAsync();
            }
        }
    }

    private async Task CallAsync(string @namespace, List<Waiting> batch)
    {
        try
        {
            var answers = (await send(@namespace, new([.. batch.Select(static waiting => waiting.Command)]))).Answers;
            for (var index = 0; index < batch.Count; index++)
            {
                batch[index].Answer.SetResult(answers[index]);
            }
        }
        catch (Exception exception)
        {
            foreach (var waiting in batch)
            {
                waiting.Answer.TrySetException(exception);
            }
        }
    }

    /// <summary>Empty when nothing waits; the call is over then.</summary>
    private List<Waiting> Next((string, string?) key)
    {
        lock (_gate)
        {
            var lane = _lanes[key];
            var batch = new List<Waiting>();
            for (var bytes = 0; batch.Count < BatchWrites && lane.Queue.TryPeek(out var next) && (batch.Count == 0 || bytes + next.Command.Length <= BatchBytes);)
            {
                batch.Add(lane.Queue.Dequeue());
                bytes += next.Command.Length;
            }

            if (batch.Count == 0 && --lane.UnderWay == 0)
            {
                _lanes.Remove(key);
            }

            return batch;
        }
    }

    private sealed class Lane
    {
        public Queue<Waiting> Queue { get; } = new();

        public int UnderWay { get; set; }
    }

    private sealed record Waiting(byte[] Command, TaskCompletionSource<AnswerMessage> Answer);
}
