using System.Globalization;
using System.Text;

namespace OrleansMemory.Api.Metrics;

internal enum MetricKind
{
    Counter,
    Gauge,
    Histogram,
}

/// <summary>
/// All series of one metric. Finding a series takes no lock: the table is replaced when one is added.
/// </summary>
/// <param name="isAbsolute">A measurement is the value itself and not a change of it.</param>
/// <param name="bounds">Upper bounds of the buckets of a histogram.</param>
internal sealed class MetricFamily(string name, string? help, MetricKind kind, bool isAbsolute, double[] bounds)
{
    /// <summary>Series beyond this are not kept: labels come from small sets, and a mistake must not eat the memory.</summary>
    private const int MaxSeries = 2_000;

    private readonly Lock _adding = new();
    private Dictionary<int, MetricSeries> _series = [];

    public void Take(double value, ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        if (Find(tags) is not { } series)
        {
            return;
        }

        if (kind == MetricKind.Histogram)
        {
            series.Observe(value);
        }
        else if (isAbsolute)
        {
            series.Set(value);
        }
        else
        {
            series.Add(value);
        }
    }

    public void WriteTo(StringBuilder text)
    {
        if (help is { Length: > 0 })
        {
            text.Append("# HELP ").Append(name).Append(' ').Append(help.Replace("\\", @"\\", StringComparison.Ordinal).Replace("\n", "\\n", StringComparison.Ordinal)).Append('\n');
        }

        text.Append("# TYPE ").Append(name).Append(' ').Append(kind switch
        {
            MetricKind.Counter => "counter",
            MetricKind.Gauge => "gauge",
            _ => "histogram",
        }).Append('\n');
        foreach (var first in Volatile.Read(ref _series).Values.OrderBy(series => series.Labels, StringComparer.Ordinal))
        {
            for (var series = first; series is not null; series = series.Next)
            {
                series.WriteTo(text, name, kind);
            }
        }
    }

    private MetricSeries? Find(ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        var hash = Hash(tags);
        return Lookup(Volatile.Read(ref _series), hash, tags) ?? Create(hash, tags);
    }

    private MetricSeries? Create(int hash, ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        lock (_adding)
        {
            if (Lookup(_series, hash, tags) is { } known)
            {
                return known;
            }

            if (_series.Count >= MaxSeries)
            {
                return null;
            }

            var grown = new Dictionary<int, MetricSeries>(_series);
            grown.TryGetValue(hash, out var sameHash);
            var created = new MetricSeries(tags.ToArray(), bounds, sameHash);
            grown[hash] = created;
            Volatile.Write(ref _series, grown);
            return created;
        }
    }

    private static MetricSeries? Lookup(Dictionary<int, MetricSeries> table, int hash, ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        table.TryGetValue(hash, out var series);
        while (series is not null && !series.Has(tags))
        {
            series = series.Next;
        }

        return series;
    }

    private static int Hash(ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        var hash = default(HashCode);
        foreach (var (key, value) in tags)
        {
            hash.Add(key);
            hash.Add(value);
        }

        return hash.ToHashCode();
    }
}

/// <summary>One metric under one set of labels.</summary>
internal sealed class MetricSeries
{
    private readonly KeyValuePair<string, object?>[] _tags;
    private readonly double[] _bounds;
    private readonly long[] _buckets;
    private double _value;

    public MetricSeries(KeyValuePair<string, object?>[] tags, double[] bounds, MetricSeries? next)
    {
        _tags = tags;
        _bounds = bounds;
        _buckets = new long[bounds.Length + 1];
        Next = next;
        Labels = string.Join(',', tags.Select(tag => $"{PrometheusExporter.LabelName(tag.Key)}=\"{PrometheusExporter.LabelValue(tag.Value)}\""));
    }

    /// <summary>Another series whose labels have the same hash.</summary>
    public MetricSeries? Next { get; }

    public string Labels { get; }

    public bool Has(ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        if (tags.Length != _tags.Length)
        {
            return false;
        }

        for (var index = 0; index < tags.Length; index++)
        {
            if (tags[index].Key != _tags[index].Key || !Equals(tags[index].Value, _tags[index].Value))
            {
                return false;
            }
        }

        return true;
    }

    public void Set(double value) => Volatile.Write(ref _value, value);

    public void Add(double value)
    {
        for (var seen = Volatile.Read(ref _value); ;)
        {
            var found = Interlocked.CompareExchange(ref _value, seen + value, seen);
            if (found.Equals(seen))
            {
                return;
            }

            seen = found;
        }
    }

    public void Observe(double value)
    {
        var bucket = 0;
        while (bucket < _bounds.Length && value > _bounds[bucket])
        {
            bucket++;
        }

        Interlocked.Increment(ref _buckets[bucket]);
        Add(value);
    }

    public void WriteTo(StringBuilder text, string name, MetricKind kind)
    {
        if (kind != MetricKind.Histogram)
        {
            Line(text, name, "", Labels, Volatile.Read(ref _value));
            return;
        }

        var separator = Labels.Length == 0 ? "" : ",";
        long total = 0;
        for (var bucket = 0; bucket < _buckets.Length; bucket++)
        {
            total += Interlocked.Read(ref _buckets[bucket]);
            var bound = bucket < _bounds.Length ? _bounds[bucket].ToString(CultureInfo.InvariantCulture) : "+Inf";
            Line(text, name, "_bucket", $"{Labels}{separator}le=\"{bound}\"", total);
        }

        Line(text, name, "_sum", Labels, Volatile.Read(ref _value));
        Line(text, name, "_count", Labels, total);
    }

    private static void Line(StringBuilder text, string name, string suffix, string labels, double value)
    {
        text.Append(name).Append(suffix);
        if (labels.Length > 0)
        {
            text.Append('{').Append(labels).Append('}');
        }

        text.Append(' ').Append(value.ToString(CultureInfo.InvariantCulture)).Append('\n');
    }
}
