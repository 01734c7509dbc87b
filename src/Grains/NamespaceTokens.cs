using OrleansMemory.Core.Replication;

namespace OrleansMemory.Grains;

/// <summary>
/// The highest position of each log that writes of a namespace were answered with here: a read of the namespace through the same front
/// end shows those writes, whichever node serves it. Bounded: namespaces that were not written to for longest are forgotten.
/// </summary>
internal sealed class NamespaceTokens
{
    /// <summary>In each of two generations; when the younger is full the older one goes.</summary>
    internal const int Namespaces = 5_000;

    /// <summary>Logs that a namespace is remembered with: the newest.</summary>
    private const int Logs = 4;

    private readonly Lock _gate = new();
    private Dictionary<string, LogPosition[]> _young = new(StringComparer.Ordinal);
    private Dictionary<string, LogPosition[]> _old = new(StringComparer.Ordinal);

    public IReadOnlyList<LogPosition> Of(string @namespace)
    {
        lock (_gate)
        {
            return Find(@namespace);
        }
    }

    public void Note(string @namespace, LogPosition position)
    {
        lock (_gate)
        {
            var known = Find(@namespace);
            var highest = Array.Find(known, token => token.Log == position.Log) is { Sequence: var held } && held > position.Sequence ? position with { Sequence = held } : position;
            _young[@namespace] = [highest, .. known.Where(token => token.Log != position.Log).Take(Logs - 1)];
            if (_young.Count >= Namespaces)
            {
                (_old, _young) = (_young, new(StringComparer.Ordinal));
            }
        }
    }

    private LogPosition[] Find(string @namespace) => _young.GetValueOrDefault(@namespace) ?? _old.GetValueOrDefault(@namespace) ?? [];
}
