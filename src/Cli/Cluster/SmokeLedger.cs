using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text;

namespace OrleansMemory.Cli.Cluster;

/// <summary>What the nodes acknowledged: from then on each of them must hold it.</summary>
internal sealed class SmokeLedger
{
    private readonly ConcurrentDictionary<string, string> _contents = new(StringComparer.Ordinal);
    private readonly List<(long Count, TaskCompletionSource Reached)> _marks = [];
    private readonly Lock _gate = new();

    public long Count => _contents.Count;

    public static string Hash(string content) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(content)));

    /// <summary>Takes an acknowledged memory in.</summary>
    /// <returns>False when one id was acknowledged with two contents.</returns>
    public bool Acknowledge(string id, string content)
    {
        var hash = Hash(content);
        var same = _contents.GetOrAdd(id, hash) == hash;
        lock (_gate)
        {
            foreach (var (count, reached) in _marks)
            {
                if (_contents.Count >= count)
                {
                    reached.TrySetResult();
                }
            }
        }

        return same;
    }

    /// <summary>Ends when so many memories were acknowledged.</summary>
    public Task ReachAsync(long count)
    {
        lock (_gate)
        {
            var reached = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            _marks.Add((count, reached));
            if (_contents.Count >= count)
            {
                reached.TrySetResult();
            }

            return reached.Task;
        }
    }

    /// <summary>Acknowledged ids that a node lacks or holds otherwise.</summary>
    /// <param name="held">Hashes of contents by id.</param>
    public IEnumerable<string> LostIn(IReadOnlyDictionary<string, string> held) =>
        _contents.Where(pair => !held.TryGetValue(pair.Key, out var hash) || hash != pair.Value).Select(static pair => pair.Key);

    /// <summary>Ids that a node holds and nobody acknowledged.</summary>
    public IEnumerable<string> UnknownIn(IReadOnlyDictionary<string, string> held) => held.Keys.Where(id => !_contents.ContainsKey(id));
}
