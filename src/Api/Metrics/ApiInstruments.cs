using System.Diagnostics.Metrics;
using OrleansMemory.Api.Routes;

namespace OrleansMemory.Api.Metrics;

/// <summary>What the front end measures.</summary>
internal sealed class ApiInstruments : IDisposable
{
    /// <summary>Every meter of the product has this name.</summary>
    public const string MeterName = "OrleansMemory";

    private static readonly string[] StatusClasses = ["other", "1xx", "2xx", "3xx", "4xx", "5xx"];

    private readonly Meter _meter = new(MeterName);
    private readonly Histogram<double> _requests;
    private readonly Gauge<long> _memories;

    public ApiInstruments()
    {
        _requests = _meter.CreateHistogram(
            "ai_memory_request_duration_seconds",
            "s",
            "Time from the request's head to the end of its answer.",
            tags: null,
            new InstrumentAdvice<double> { HistogramBucketBoundaries = [.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5] });
        _memories = _meter.CreateGauge<long>("ai_memory_memories", null, "Memories in the store, expired ones included.");
    }

    public void Observe(RouteLabel? route, int status, TimeSpan elapsed)
    {
        var family = status / 100;
        _requests.Record(
            elapsed.TotalSeconds,
            new KeyValuePair<string, object?>("route", route?.Template ?? RouteLabel.Unknown),
            new KeyValuePair<string, object?>("status", StatusClasses[family is >= 1 and <= 5 ? family : 0]));
    }

    public void SetMemories(long total) => _memories.Record(total);

    public void Dispose() => _meter.Dispose();
}
