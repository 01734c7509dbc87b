using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Text;
using System.Text.Json;
using OrleansMemory.Cli.Cluster;
using OrleansMemory.Cli.Output;
using OrleansMemory.Gate.Nodes;
using OrleansMemory.Storage.Sqlite;

namespace OrleansMemory.Cli.Bench;

/// <summary>What a start on an old database with every backfill pending does to a node.</summary>
/// <param name="Ready">From the start of the process until <c>/readyz</c> answered 200.</param>
/// <param name="Restarts">How often the supervisor had to kill the node.</param>
/// <param name="Backfill">From the start until every step was complete.</param>
/// <param name="Livez">Of <c>/livez</c>, asked without a pause for as long.</param>
/// <param name="Busy">Writes while the backfills ran.</param>
/// <param name="Idle">The same writes afterwards.</param>
/// <param name="Failures">Writes that were not answered 2xx.</param>
internal sealed record BackfillReport(
    long Rows, double Rate, int Connections, TimeSpan Ready, int Restarts, TimeSpan Backfill, Latencies Livez, Latencies Busy, Latencies Idle, long Failures, ProcessUsage Node, Machine Machine)
{
    private const double P99 = 0.99;

    /// <summary>The write latency that 99 % stay below, during the backfills and after them.</summary>
    public double Ratio => Busy.Milliseconds(P99) / Math.Max(Idle.Milliseconds(P99), 0.001);

    public bool Holds => Restarts == 0 && Failures == 0 && Livez.Milliseconds(P99) < BackfillBench.LivezLimit.TotalMilliseconds && Ratio <= BackfillBench.MostRatio;

    public void WriteText(TextWriter text)
    {
        var culture = CultureInfo.InvariantCulture;
        text.WriteLine(string.Create(culture, $"backfill: {Rows} rows, every step pending, {Connections} connections at {Rate:0.#} writes/s"));
        text.WriteLine(string.Create(culture, $"  ready after {Ready.TotalSeconds:0.00} s, {Restarts} restarts, complete after {Backfill.TotalSeconds:0.0} s ({Rows / Backfill.TotalSeconds:0} rows/s)"));
        text.WriteLine(string.Create(culture, $"  /livez p99 {Livez.Milliseconds(P99):0.00} ms, max {Livez.MaxMilliseconds:0.00} ms ({Livez.Count} asked)"));
        text.WriteLine(string.Create(culture, $"  writes meanwhile p50 {Busy.Milliseconds(0.5):0.00} ms, p99 {Busy.Milliseconds(P99):0.00} ms, max {Busy.MaxMilliseconds:0.00} ms ({Busy.Count}); {Failures} failed"));
        text.WriteLine(string.Create(culture, $"  writes afterwards p50 {Idle.Milliseconds(0.5):0.00} ms, p99 {Idle.Milliseconds(P99):0.00} ms, max {Idle.MaxMilliseconds:0.00} ms ({Idle.Count}); ratio of p99 {Ratio:0.00}"));
        text.WriteLine(string.Create(culture, $"  node: {Node.Cpu.TotalSeconds:0.00} s CPU, peak {Node.PeakBytes / 1048576.0:0} MiB"));
        text.WriteLine(string.Create(culture, $"  {Machine.Cpu}, {Machine.Cores} cores, {Machine.Kernel}, {Machine.Runtime}, {Machine.FileSystem}, fsync p50 {Machine.FsyncMilliseconds:0.000} ms"));
        text.WriteLine($"  {Invocation.Version} {Machine.Commit ?? "(unknown commit)"}");
    }

    public void WriteJson(Utf8JsonWriter writer)
    {
        writer.WriteStartObject();
        writer.WriteString("bench", "backfill");
        writer.WriteNumber("rows", Rows);
        Real("rate", Rate);
        writer.WriteNumber("connections", Connections);
        Real("ready_seconds", Ready.TotalSeconds);
        writer.WriteNumber("restarts", Restarts);
        Real("backfill_seconds", Backfill.TotalSeconds);
        Write("livez_ms", Livez);
        Write("writes_meanwhile_ms", Busy);
        Write("writes_afterwards_ms", Idle);
        Real("p99_ratio", Ratio);
        writer.WriteNumber("failed", Failures);
        writer.WriteBoolean("holds", Holds);
        Real("node_cpu_seconds", Node.Cpu.TotalSeconds);
        writer.WriteNumber("node_peak_rss_bytes", Node.PeakBytes);
        writer.WriteString("version", Invocation.Version);
        writer.WriteString("commit", Machine.Commit);
        writer.WriteEndObject();

        void Real(string name, double value) => MemoryJson.WriteReal(writer, name, Math.Round(value, 3));

        void Write(string name, Latencies latencies)
        {
            writer.WriteStartObject(name);
            writer.WriteNumber("count", latencies.Count);
            Real("p50", latencies.Milliseconds(0.5));
            Real("p99", latencies.Milliseconds(P99));
            Real("max", latencies.MaxMilliseconds);
            writer.WriteEndObject();
        }
    }
}

/// <summary>
/// Loads a node, takes from its store what came with later versions, and starts it again under a supervisor that kills a node which is
/// not ready in ten seconds or takes more than one to say that it lives. Writes go on all the while, and the same again afterwards.
/// </summary>
internal sealed class BackfillBench(ClusterProcess cluster, BenchText text, long rows, int connections, double rate, TimeSpan idle)
{
    public const double MostRatio = 3;

    private const int CountedAccesses = 7;

    public static readonly TimeSpan LivezLimit = TimeSpan.FromMilliseconds(50);

    private static readonly TimeSpan LivezDeadline = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan ReadyDeadline = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan StopDeadline = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan Deadline = TimeSpan.FromHours(1);
    private static readonly TimeSpan Slice = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LivezPause = TimeSpan.FromMilliseconds(5);

    private readonly Latencies _livez = new();
    private int _restarts;
    private volatile bool _done;

    /// <exception cref="InvalidDataException">The backfills did not end.</exception>
    public async Task<BackfillReport> RunAsync(Machine machine)
    {
        var address = cluster.Addresses[0];
        var endpoint = new IPEndPoint(IPAddress.Parse(address.Host), address.Port);
        await RowLoader.LoadAsync([endpoint], address.Authority, null, text, rows);
        await cluster[0].StopAsync(StopDeadline);
        var database = Path.Combine(cluster.Folder, $"{ClusterProcess.NameOf(0)}.db");
        OlderStore.Make(database);
        OlderStore.Count(database, CountedAccesses);

        var (ready, started) = await StartAsync(endpoint);
        var watch = new Thread(() => Watch(endpoint)) { IsBackground = true };
        watch.Start();
        var requests = new WriteRequests(address.Authority, null, text);
        var (busy, failures) = (new List<Latencies>(), 0L);
        Load? load = null;
        TimeSpan backfill;
        using (var http = new HttpClient { BaseAddress = address })
        {
            while (true)
            {
                load = new([endpoint], requests, connections, rate, earlier: load);
                var result = load.Run(Slice);
                busy.Add(result.All);
                failures += result.Failures.Values.Sum();
                backfill = Stopwatch.GetElapsedTime(started);
                if (await IsCompleteAsync(http))
                {
                    break;
                }

                if (backfill > Deadline)
                {
                    throw new InvalidDataException($"the backfills were not complete within {Deadline.TotalMinutes:0} minutes");
                }
            }
        }

        _done = true;
        watch.Join();
        var after = new Load([endpoint], requests, connections, rate, earlier: load).Run(idle);
        failures += after.Failures.Values.Sum();
        return new(rows, rate, connections, ready, _restarts, backfill, _livez, Latencies.Merge(busy), after.All, failures, cluster[0].Usage(), machine);
    }

    private async Task<(TimeSpan Ready, long Started)> StartAsync(IPEndPoint endpoint)
    {
        while (true)
        {
            var started = Stopwatch.GetTimestamp();
            await cluster.StartAsync(0);
            using var connection = new HttpConnection(endpoint);
            while (Stopwatch.GetElapsedTime(started) < ReadyDeadline)
            {
                if (connection.Exchange(Get("/readyz")) == 200)
                {
                    return (Stopwatch.GetElapsedTime(started), started);
                }

                await Task.Delay(LivezPause);
            }

            _restarts++;
            cluster[0].Kill();
        }
    }

    private void Watch(IPEndPoint endpoint)
    {
        using var connection = new HttpConnection(endpoint);
        while (!_done)
        {
            var began = Stopwatch.GetTimestamp();
            var status = connection.Exchange(Get("/livez"));
            var took = Stopwatch.GetElapsedTime(began);
            _livez.Add(took);
            if (status != 200 || took > LivezDeadline)
            {
                // What a supervisor would do next shows in the report; the run goes on to its end.
                _restarts++;
            }

            Thread.Sleep(LivezPause);
        }
    }

    private static byte[] Get(string path) => Encoding.ASCII.GetBytes($"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");

    private static async Task<bool> IsCompleteAsync(HttpClient http)
    {
        using var list = JsonDocument.Parse(await http.GetStringAsync(new Uri("/api/v1/backfills", UriKind.Relative)));
        return list.RootElement.GetProperty("backfills").EnumerateArray().All(static step => step.GetProperty("state").GetString() == "complete");
    }
}
