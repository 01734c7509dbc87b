using System.Diagnostics.Metrics;
using System.Globalization;
using System.Text;

namespace OrleansMemory.Api.Metrics;

/// <summary>
/// Collects every instrument of every meter with one name and writes them in the Prometheus text format, version 0.0.4.
/// A measurement costs a hash lookup and an interlocked add.
/// </summary>
internal sealed class PrometheusExporter : IDisposable
{
    public const string ContentType = "text/plain; version=0.0.4; charset=utf-8";

    /// <summary>For histograms that bring no bounds of their own, in seconds.</summary>
    private static readonly double[] StandardBounds = [.001, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5];

    private readonly MeterListener _listener = new();
    private readonly Lock _gate = new();
    private readonly SortedDictionary<string, MetricFamily> _families = new(StringComparer.Ordinal);

    public PrometheusExporter(string meterName)
    {
        _listener.InstrumentPublished = (instrument, listener) =>
        {
            if (instrument.Meter.Name == meterName)
            {
                listener.EnableMeasurementEvents(instrument, Family(instrument));
            }
        };
        _listener.SetMeasurementEventCallback<double>(static (_, value, tags, family) => ((MetricFamily)family!).Take(value, tags));
        _listener.SetMeasurementEventCallback<float>(static (_, value, tags, family) => ((MetricFamily)family!).Take(value, tags));
        _listener.SetMeasurementEventCallback<long>(static (_, value, tags, family) => ((MetricFamily)family!).Take(value, tags));
        _listener.SetMeasurementEventCallback<int>(static (_, value, tags, family) => ((MetricFamily)family!).Take(value, tags));
        _listener.SetMeasurementEventCallback<short>(static (_, value, tags, family) => ((MetricFamily)family!).Take(value, tags));
        _listener.SetMeasurementEventCallback<byte>(static (_, value, tags, family) => ((MetricFamily)family!).Take(value, tags));
        _listener.Start();
    }

    /// <summary>All families by name, then what the process itself uses.</summary>
    public string Write()
    {
        var text = new StringBuilder(8192);
        lock (_gate)
        {
            _listener.RecordObservableInstruments();
            foreach (var family in _families.Values)
            {
                family.WriteTo(text);
            }
        }

        WriteProcess(text, "process_cpu_seconds_total", "counter", "Processor time used, user and system.", Environment.CpuUsage.TotalTime.TotalSeconds);
        WriteProcess(text, "process_resident_memory_bytes", "gauge", "Physical memory in use.", Environment.WorkingSet);
        WriteProcess(text, "dotnet_gc_heap_bytes", "gauge", "Managed heap in use.", GC.GetTotalMemory(forceFullCollection: false));
        return text.ToString();
    }

    public void Dispose() => _listener.Dispose();

    internal static string LabelName(string name)
    {
        Span<char> clean = stackalloc char[Math.Min(name.Length, 128)];
        for (var index = 0; index < clean.Length; index++)
        {
            clean[index] = char.IsAsciiLetterOrDigit(name[index]) ? name[index] : '_';
        }

        return clean.ToString();
    }

    internal static string LabelValue(object? value) =>
        (Convert.ToString(value, CultureInfo.InvariantCulture) ?? "")
            .Replace("\\", @"\\", StringComparison.Ordinal)
            .Replace("\"", "\\\"", StringComparison.Ordinal)
            .Replace("\n", "\\n", StringComparison.Ordinal);

    private static void WriteProcess(StringBuilder text, string name, string type, string help, double value) =>
        text.Append(CultureInfo.InvariantCulture, $"# HELP {name} {help}\n# TYPE {name} {type}\n{name} {value}\n");

    private MetricFamily Family(Instrument instrument)
    {
        var type = instrument.GetType().GetGenericTypeDefinition();
        var kind = type == typeof(Histogram<>) ? MetricKind.Histogram
            : type == typeof(Counter<>) || type == typeof(ObservableCounter<>) ? MetricKind.Counter
            : MetricKind.Gauge;
        var isAbsolute = instrument.IsObservable || type == typeof(Gauge<>);
        var name = LabelName(instrument.Name);
        if (instrument.Unit == "s" && !name.Contains("_seconds", StringComparison.Ordinal))
        {
            name += "_seconds";
        }

        if (kind == MetricKind.Counter && !name.EndsWith("_total", StringComparison.Ordinal))
        {
            name += "_total";
        }

        lock (_gate)
        {
            if (!_families.TryGetValue(name, out var family))
            {
                family = new(name, instrument.Description, kind, isAbsolute, kind == MetricKind.Histogram ? Bounds(instrument) : []);
                _families.Add(name, family);
            }

            return family;
        }
    }

    private static double[] Bounds(Instrument instrument) => instrument switch
    {
        Instrument<double> { Advice.HistogramBucketBoundaries: { } bounds } => [.. bounds],
        Instrument<long> { Advice.HistogramBucketBoundaries: { } bounds } => [.. bounds.Select(bound => (double)bound)],
        _ => StandardBounds,
    };
}
