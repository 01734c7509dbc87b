using System.Collections.Concurrent;
using System.Net;

namespace OrleansMemory.Cli.Tests.Cluster;

/// <summary>What was answered, told apart from what was only sent; values say who wrote them.</summary>
internal sealed class Ledger
{
    private readonly ConcurrentDictionary<string, string> _answered = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, string> _sent = new(StringComparer.Ordinal);
    private TaskCompletionSource _reached = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _target = int.MaxValue;

    /// <summary>Content by title of every write that was answered 201.</summary>
    public IReadOnlyDictionary<string, string> Answered => _answered;

    public int Unanswered => _sent.Count - _answered.Count;

    /// <summary>Stores one memory after the other under titles of its own, until told to stop or the node is gone.</summary>
    public async Task WriteAsync(ClusterNode node, string writer, CancellationToken stop)
    {
        for (var number = 0; !stop.IsCancellationRequested; number++)
        {
            var title = $"{writer}-{number}";
            var content = $"v-{title}";
            Assert.True(_sent.TryAdd(title, content));
            try
            {
                var answer = await node.StoreAsync(title, content);
                if (answer.Status == HttpStatusCode.Created)
                {
                    _answered[title] = content;
                    if (_answered.Count >= Volatile.Read(ref _target))
                    {
                        _reached.TrySetResult();
                    }
                }
                else
                {
                    answer.Is(HttpStatusCode.ServiceUnavailable);
                }
            }
            catch (Exception exception) when (exception is HttpRequestException or InvalidOperationException or ObjectDisposedException or TaskCanceledException)
            {
                return;
            }
        }
    }

    /// <summary>Ends when so many writes were answered.</summary>
    public Task ReachAsync(int answered)
    {
        _reached = new(TaskCreationOptions.RunContinuationsAsynchronously);
        Volatile.Write(ref _target, answered);
        return _reached.Task.WaitAsync(TimeSpan.FromSeconds(60));
    }

    /// <summary>Every answered write is among what a node shows, as it was written, and nothing is there that nobody sent.</summary>
    public void AssertHeldBy(string who, IReadOnlyDictionary<string, string> contents)
    {
        var lost = _answered.Where(pair => contents.GetValueOrDefault(pair.Key) != pair.Value).Select(static pair => pair.Key).ToList();
        Assert.True(lost.Count == 0, $"{who} lacks {lost.Count} of {_answered.Count} answered writes: {string.Join(", ", lost.Take(10))}");
        var foreign = contents.Keys.Where(title => !_sent.ContainsKey(title)).ToList();
        Assert.True(foreign.Count == 0, $"{who} shows what nobody wrote: {string.Join(", ", foreign.Take(10))}");
    }
}
