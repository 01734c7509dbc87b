using OrleansMemory.Core;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Grains;

/// <summary>
/// The nodes as a front end reaches them. It asks each how it is, again and again, and sends questions to those that said they are
/// ready, in turn; one that leaves a question without an answer is passed over until it is heard again.
/// </summary>
public sealed class FrontEndNodes : IAsyncDisposable
{
    private static readonly TimeSpan HealthInterval = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan HealthDeadline = TimeSpan.FromSeconds(2);

    /// <summary>After so long without an answer another node is asked beside.</summary>
    private static readonly TimeSpan SecondAsked = TimeSpan.FromSeconds(1);

    /// <summary>How long a question that may be asked again is.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(8);
    private static readonly TimeSpan RetryPause = TimeSpan.FromMilliseconds(50);

    /// <summary>Of one that is asked only once: it may write a thousand rows.</summary>
    private static readonly TimeSpan LongestAnswer = TimeSpan.FromSeconds(28);

    private readonly ClusterConnection _cluster;
    private readonly ReplicaSetSettings _settings;
    private readonly TimeProvider _time;
    private readonly Node[] _nodes;
    private readonly CancellationTokenSource _stopping = new();
    private readonly Task _watching;
    private int _turn;

    /// <param name="nodes">The ids of all nodes that hold a replica.</param>
    public FrontEndNodes(ClusterConnection cluster, IReadOnlyList<string> nodes, ReplicaSetSettings settings, TimeProvider time)
    {
        _cluster = cluster;
        _settings = settings;
        _time = time;
        _nodes = [.. nodes.Select(static id => new Node(id))];
        _watching = Task.WhenAll(_nodes.Select(WatchAsync));
    }

    /// <summary>Why no node can be asked; null when one can.</summary>
    public string? Problem =>
        _cluster.Problem ?? (Array.Exists(_nodes, static node => node.Problem is null) ? null : string.Join("; ", _nodes.Select(static node => $"{node.Id}: {node.Problem}")));

    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        await _watching;
        _stopping.Dispose();
    }

    /// <exception cref="MemoryException">What a node answered; or that none did.</exception>
    internal async Task<T> AskAsync<T>(Question question, CancellationToken cancellation)
    {
        var message = new ServiceQuestion(WireJson.Encode(question));
        return WireJson.Decode<T>(await (question.IsRepeatable ? InsistAsync(message, cancellation) : AskOnceAsync(message)));
    }

    /// <summary>The node that is to serve a whole export.</summary>
    internal (IServiceGrain Grain, ServiceQuestion Question) Export(ExportQuestion question)
    {
        var node = Next(null);
        return (Grains().GetGrain<IServiceGrain>(node.Id), new(WireJson.Encode(question)));
    }

    /// <summary>The next page of an export, with what went wrong in words of the service.</summary>
    internal static async Task<bool> NextAsync(IAsyncEnumerator<ServiceAnswer> pages)
    {
        try
        {
            return await pages.MoveNextAsync();
        }
        catch (Exception exception) when (exception is not OperationCanceledException)
        {
            throw Unreachable($"the node that was exported from does not answer: {exception.Message}", exception);
        }
    }

    /// <summary>Asks one node after the other, the next one also beside one that takes long, until one answers.</summary>
    private async Task<byte[]> InsistAsync(ServiceQuestion message, CancellationToken cancellation)
    {
        var started = _time.GetTimestamp();
        var asked = new List<(Node Node, Task<byte[]> Answer)>();
        MemoryException? last = null;
        while (true)
        {
            var left = Patience - _time.GetElapsedTime(started);
            if (left > TimeSpan.Zero && asked.Count < _nodes.Length)
            {
                var node = Next(asked.ConvertAll(static pair => pair.Node));
                asked.Add((node, SendAsync(node, message)));
            }

            // Of several under way, whichever ends first.
            await AnyAsync(asked.ConvertAll(static pair => pair.Answer), cancellation);
            var first = asked.FindIndex(static pair => pair.Answer.IsCompleted);
            if (first < 0)
            {
                cancellation.ThrowIfCancellationRequested();
                continue;
            }

            var ended = asked[first].Answer;
            asked.RemoveAt(first);
            try
            {
                return await ended;
            }
            catch (MemoryException exception) when (MayDifferElsewhere(exception))
            {
                last = exception;
            }

            if (asked.Count == 0)
            {
                if (_time.GetElapsedTime(started) >= Patience)
                {
                    throw last;
                }

                await Task.Delay(RetryPause, _time, cancellation);
            }
        }
    }

    /// <summary>Waits until one ends, or for so long that another node is asked beside.</summary>
    private async Task AnyAsync(List<Task<byte[]>> answers, CancellationToken cancellation)
    {
        using var waiting = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        await Task.WhenAny([.. answers, Task.Delay(SecondAsked, _time, waiting.Token)]);
        await waiting.CancelAsync();
    }

    /// <summary>What became of the question when there is no answer nobody knows.</summary>
    private async Task<byte[]> AskOnceAsync(ServiceQuestion message)
    {
        if (_cluster.Problem is { } problem)
        {
            throw new QuorumException(new(0, _settings.QuorumWrites, QuorumReasons.Unreachable), QuorumException.NotStored, problem);
        }

        try
        {
            return await SendAsync(Next(null), message);
        }
        catch (NodeSilentException exception)
        {
            throw new QuorumException(new(0, _settings.QuorumWrites, QuorumReasons.Unreachable), QuorumException.Unknown, exception.Message, exception);
        }
    }

    private async Task<byte[]> SendAsync(Node node, ServiceQuestion message)
    {
        try
        {
            return await HearAsync(node, CallAsync(node, message, LongestAnswer));
        }
        catch (NodeSilentException exception)
        {
            node.Problem = exception.Message;
            throw;
        }
    }

    private async Task<byte[]> CallAsync(Node node, ServiceQuestion message, TimeSpan atMost)
    {
        ServiceAnswer answer;
        try
        {
            answer = await Grains().GetGrain<IServiceGrain>(node.Id).AskAsync(message).WaitAsync(atMost, _time);
        }
        catch (Exception exception) when (exception is OrleansException or TimeoutException or ObjectDisposedException or InvalidOperationException)
        {
            throw new NodeSilentException($"the node {node.Id} does not answer: {exception.Message}", exception);
        }

        return answer.Problem is null ? answer.Answer : throw WireJson.DecodeAnswer(answer.Problem.Answer).ToException();
    }

    /// <summary>Waits no longer than the node is heard: to a client of the cluster nobody tells that the silo which had its call is dead.</summary>
    private async Task<byte[]> HearAsync(Node node, Task<byte[]> answer)
    {
        while (!answer.IsCompleted)
        {
            using var waiting = new CancellationTokenSource();
            await Task.WhenAny(answer, Task.Delay(HealthInterval, _time, waiting.Token));
            await waiting.CancelAsync();
            if (!answer.IsCompleted && node.IsSilent)
            {
                throw new NodeSilentException(node.Problem ?? $"the node {node.Id} does not answer", null);
            }
        }

        return await answer;
    }

    /// <summary>Nodes in turn: one that is ready and was not asked yet, else one that was not asked yet.</summary>
    private Node Next(List<Node>? asked)
    {
        var turn = Interlocked.Increment(ref _turn) & int.MaxValue;
        var inTurn = Enumerable.Range(0, _nodes.Length).Select(step => _nodes[(turn + step) % _nodes.Length]).Where(node => asked?.Contains(node) != true).ToList();
        return inTurn.Find(static node => node.Problem is null) ?? inTurn[0];
    }

    private IGrainFactory Grains() => _cluster.Grains ?? throw Unreachable(_cluster.Problem ?? "the cluster cannot be reached", null);

    /// <summary>Another node may answer what this one could not.</summary>
    private static bool MayDifferElsewhere(MemoryException exception) => exception is NodeSilentException
        || exception.Kind == ErrorKind.NotYet || exception.Kind == ErrorKind.Draining || exception.Kind == ErrorKind.StoreFailed || exception.Kind == ErrorKind.Overloaded;

    private static MemoryException Unreachable(string message, Exception? inner) => new(ErrorKind.Unreachable, message, inner);

    private async Task WatchAsync(Node node)
    {
        var question = new ServiceQuestion(WireJson.Encode(new HealthQuestion()));
        while (!_stopping.IsCancellationRequested)
        {
            try
            {
                var health = WireJson.Decode<ServiceHealth>(await CallAsync(node, question, HealthDeadline));
                node.Problem = health.Ready ? null : health.Reason;
                node.IsSilent = false;
            }
            catch (Exception exception)
            {
                // Whatever it was, the next question may be answered.
                node.Problem = exception.Message;
                node.IsSilent = true;
            }

            await Task.WhenAny(Task.Delay(HealthInterval, _time, _stopping.Token));
        }
    }

    private sealed class Node(string id)
    {
        private volatile string? _problem = "not heard of yet";
        private volatile bool _isSilent;

        public string Id => id;

        /// <summary>Why it should not be asked; null when it should.</summary>
        public string? Problem
        {
            get => _problem;
            set => _problem = value;
        }

        /// <summary>It did not say how it is when it was asked last.</summary>
        public bool IsSilent
        {
            get => _isSilent;
            set => _isSilent = value;
        }
    }

    private sealed class NodeSilentException(string message, Exception? inner) : MemoryException(ErrorKind.Unreachable, message, inner);
}
