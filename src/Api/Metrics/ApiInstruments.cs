using System.Diagnostics.Metrics;
using OrleansMemory.Api.Routes;
using OrleansMemory.Core;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Api.Metrics;

/// <summary>What the front end measures.</summary>
internal sealed class ApiInstruments : IDisposable
{
    private static readonly string[] StatusClasses = ["other", "1xx", "2xx", "3xx", "4xx", "5xx"];

    private readonly Meter _meter = new(Instruments.MeterName);
    private readonly Histogram<double> _requests;
    private readonly Gauge<long> _memories;
    private readonly Counter<long> _stores;
    private readonly Counter<long> _recalls;
    private readonly Histogram<double> _recallSeconds;

    public ApiInstruments()
    {
        _requests = _meter.CreateHistogram(
            "ai_memory_request_duration_seconds",
            "s",
            "Time from the request's head to the end of its answer.",
            tags: null,
            new InstrumentAdvice<double> { HistogramBucketBoundaries = [.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5] });
        _memories = _meter.CreateGauge<long>("ai_memory_memories", null, "Memories in the store, expired ones included.");
        _stores = _meter.CreateCounter<long>("ai_memory_store_total", null, "Memories asked to be stored.");
        _recalls = _meter.CreateCounter<long>("ai_memory_recall_total", null, "Recalls answered.");
        _recallSeconds = _meter.CreateHistogram(
            "ai_memory_recall_latency_seconds",
            "s",
            "Time of a recall in the engine.",
            tags: null,
            new InstrumentAdvice<double> { HistogramBucketBoundaries = [.001, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5] });
    }

    public void Observe(RouteLabel? route, int status, TimeSpan elapsed)
    {
        var family = status / 100;
        _requests.Record(
            elapsed.TotalSeconds,
            new KeyValuePair<string, object?>("route", route?.Template ?? RouteLabel.Unknown),
            new KeyValuePair<string, object?>("status", StatusClasses[family is >= 1 and <= 5 ? family : 0]));
    }

    public void CountStore(Tier tier, bool stored) =>
        _stores.Add(1, new("tier", tier.Name()), new("result", stored ? "ok" : "err"));

    public void CountRecall(string mode, TimeSpan elapsed)
    {
        var tag = new KeyValuePair<string, object?>("mode", mode);
        _recalls.Add(1, tag);
        _recallSeconds.Record(elapsed.TotalSeconds, tag);
    }

    public void SetMemories(long total) => _memories.Record(total);

    public void Dispose() => _meter.Dispose();
}
