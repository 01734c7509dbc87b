using System.Diagnostics.Metrics;
using OrleansMemory.Api.Routes;
using OrleansMemory.Core;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Replication;

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
    private readonly Gauge<long> _peerBehindRows;
    private readonly Gauge<double> _peerBehindSeconds;
    private readonly Gauge<long> _peerUp;
    private readonly Gauge<long> _deadLetters;
    private readonly Gauge<double> _clockAhead;
    private readonly Gauge<long> _recovering;

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
        _peerUp = _meter.CreateGauge<long>("om_peer_up", null, "1 while the peer answers and counts, else 0.");
        _peerBehindRows = _meter.CreateGauge<long>("om_peer_behind_rows", null, "Rows of this node's log that the peer lacks.");
        _peerBehindSeconds = _meter.CreateGauge<double>("om_peer_behind_seconds", null, "For how long the peer has lacked rows of this node's log.");
        _deadLetters = _meter.CreateGauge<long>("om_dead_letters", null, "Rows of peers that this node refused and will try again.");
        _clockAhead = _meter.CreateGauge<double>("om_clock_ahead_seconds", null, "How far the clock is ahead of the median of the peers'.");
        _recovering = _meter.CreateGauge<long>("om_recovering", null, "1 until the node has synchronised with its peers, else 0.");
    }

    /// <summary>What the node sees of its peers, at the time of asking.</summary>
    public void SetCluster(ReplicaSetStatus status, long deadLetters)
    {
        _deadLetters.Record(deadLetters);
        if (status.Nodes == 1)
        {
            return;
        }

        _clockAhead.Record(status.ClockAhead.TotalSeconds);
        _recovering.Record(status.Recovering ? 1 : 0);
        foreach (var peer in status.Peers)
        {
            var tag = new KeyValuePair<string, object?>("peer", peer.Address);
            _peerUp.Record(peer.IsUp ? 1 : 0, tag);
            _peerBehindRows.Record(peer.BehindRows, tag);
            _peerBehindSeconds.Record(peer.BehindSeconds, tag);
        }
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
