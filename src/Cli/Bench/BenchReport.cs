using System.Globalization;
using System.Text.Json;
using OrleansMemory.Cli.Cluster;
using OrleansMemory.Cli.Output;
using OrleansMemory.Gate.Nodes;

namespace OrleansMemory.Cli.Bench;

internal enum BenchKind
{
    Writes,
    Recall,
    Convergence,
}

/// <param name="Rate">Requests a second; null sends as fast as the answers come.</param>
/// <param name="Nodes">Of the cluster that is measured.</param>
/// <param name="QuorumWrites">Nodes that must hold a write before it is answered; null: the majority.</param>
/// <param name="CatchUpRows">Rows that a node misses and then catches up with; 0: none.</param>
/// <param name="OnPostgres">Each node has a PostgreSQL server of its own, whose CPU and memory are not counted.</param>
internal sealed record BenchPlan(
    BenchKind Kind,
    int Connections,
    TimeSpan Duration,
    long Requests,
    TimeSpan Warmup,
    long Rows,
    double? Rate,
    int Nodes,
    int? QuorumWrites,
    long CatchUpRows,
    bool OnPostgres,
    ClusterKind ClusterKind)
{
    /// <summary>Numbers of the vector that each memory and query has; null: recall is by words.</summary>
    public int? Vectors { get; init; }

    /// <summary>Vectors are compared by the PostgreSQL server.</summary>
    public bool VectorsInDatabase { get; init; }
}

/// <summary>What a node used during the measurement.</summary>
internal sealed record NodeUsage(string Name, ProcessUsage Before, ProcessUsage After)
{
    public TimeSpan Cpu => After.Cpu - Before.Cpu;
}

/// <summary>The figures of one measurement.</summary>
/// <param name="Nodes">Empty for a node that somebody else started.</param>
internal sealed record BenchReport(
    BenchPlan Plan,
    LoadResult Load,
    Machine Machine,
    IReadOnlyList<NodeUsage> Nodes,
    TimeSpan GeneratorCpu,
    ConvergenceResult? Convergence = null,
    CatchUpResult? CatchUp = null)
{
    private static readonly (string Name, double Share)[] Percentiles = [("p50", 0.5), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99), ("p999", 0.999), ("max", 1.0)];

    private double Throughput => Load.All.Count / Load.Elapsed.TotalSeconds;

    private string Kind => Plan.Kind switch
    {
        BenchKind.Writes => "writes",
        BenchKind.Recall => "recall",
        _ => "convergence",
    };

    public void WriteJson(Utf8JsonWriter writer)
    {
        writer.WriteStartObject();
        writer.WriteString("bench", Kind);
        writer.WriteString("store", Plan.OnPostgres ? "postgresql" : "sqlite");
        if (Plan.Nodes > 1)
        {
            writer.WriteString("cluster", Plan.ClusterKind == ClusterKind.Silo ? "silo" : "peers");
        }

        writer.WriteString("loop", Plan.Rate is null ? "closed" : "open");
        writer.WriteNumber("connections", Plan.Connections);
        if (Plan.Rate is { } rate)
        {
            MemoryJson.WriteReal(writer, "rate", rate);
        }

        if (Plan.Nodes > 1)
        {
            writer.WriteNumber("cluster_nodes", Plan.Nodes);
            writer.WriteNumber("quorum_writes", Plan.QuorumWrites!.Value);
        }

        writer.WriteNumber("rows_before", Plan.Rows);
        if (Plan.Vectors is { } dimension)
        {
            writer.WriteNumber("vector_dim", dimension);
            writer.WriteString("vectors", Plan.VectorsInDatabase ? "database" : "memory");
        }

        MemoryJson.WriteReal(writer, "seconds", Math.Round(Load.Elapsed.TotalSeconds, 3));
        writer.WriteNumber("requests", Load.All.Count + Load.Failures.Values.Sum());
        writer.WriteNumber("ok", Load.All.Count);
        MemoryJson.WriteReal(writer, "throughput", Math.Round(Throughput, 1));
        WriteLatencies(writer, "latency_ms", Load.All);
        if (Load.ByClass.Count > 1)
        {
            writer.WriteStartObject("by_class");
            foreach (var (name, latencies) in Classes())
            {
                WriteLatencies(writer, name, latencies);
            }

            writer.WriteEndObject();
        }

        writer.WriteStartObject("errors");
        foreach (var (status, count) in Load.Failures)
        {
            writer.WriteNumber(StatusName(status), count);
        }

        writer.WriteEndObject();
        WriteConvergence(writer);
        WriteNodes(writer);

        writer.WriteStartObject("generator");
        WriteCpu(writer, GeneratorCpu);
        writer.WriteEndObject();
        writer.WriteStartObject("machine");
        writer.WriteString("cpu", Machine.Cpu);
        writer.WriteNumber("cores", Machine.Cores);
        writer.WriteNumber("memory_bytes", Machine.MemoryBytes);
        writer.WriteString("kernel", Machine.Kernel);
        writer.WriteString("runtime", Machine.Runtime);
        writer.WriteString("file_system", Machine.FileSystem);
        MemoryJson.WriteReal(writer, "fsync_ms_p50", Math.Round(Machine.FsyncMilliseconds, 3));
        writer.WriteEndObject();
        writer.WriteString("version", Invocation.Version);
        writer.WriteString("commit", Machine.Commit);
        writer.WriteEndObject();
    }

    public void WriteText(TextWriter text)
    {
        var culture = CultureInfo.InvariantCulture;
        var loop = Plan.Rate is { } rate ? string.Create(culture, $"open loop at {rate:0.#}/s") : "closed loop";
        text.WriteLine(string.Create(culture, $"{Kind}: {Cluster}{Plan.Connections} connections, {loop}, {Load.Elapsed.TotalSeconds:0.0} s, {Plan.Rows} rows before{(Plan.Vectors is { } dimension ? $", vectors of {dimension} in {(Plan.VectorsInDatabase ? "the database" : "memory")}" : "")}"));
        text.WriteLine(string.Create(culture, $"  {Throughput:0.0}/s, {Load.All.Count} ok"));
        text.WriteLine($"  {Line(Load.All)}");
        if (Load.ByClass.Count > 1)
        {
            foreach (var (name, latencies) in Classes())
            {
                text.WriteLine($"  {name,-8} {Line(latencies)}");
            }
        }

        foreach (var (status, count) in Load.Failures)
        {
            text.WriteLine($"  failed with {StatusName(status)}: {count}");
        }

        if (Convergence is { } convergence)
        {
            text.WriteLine($"  on all nodes after the answer: {Line(convergence.Delays)}{(convergence.Missing == 0 ? "" : string.Create(culture, $", never: {convergence.Missing}"))}");
        }

        if (CatchUp is { } catchUp)
        {
            text.WriteLine(string.Create(
                culture,
                $"  catch-up: {catchUp.Rows} rows in {catchUp.Elapsed.TotalSeconds:0.00} s, {catchUp.RowsPerSecond:0.0}/s, {catchUp.Cpu.TotalSeconds:0.00} s CPU, after a start of {catchUp.Start.TotalSeconds:0.00} s"));
        }

        foreach (var node in Nodes)
        {
            text.WriteLine(string.Create(
                culture, $"  {(Nodes.Count == 1 ? "node" : node.Name)}: {node.Cpu.TotalSeconds:0.00} s CPU ({Share(node.Cpu):0.0%} of the machine), peak {node.After.PeakBytes / 1048576.0:0} MiB"));
        }

        text.WriteLine(string.Create(culture, $"  generator: {GeneratorCpu.TotalSeconds:0.00} s CPU ({Share(GeneratorCpu):0.0%} of the machine)"));
        text.WriteLine(string.Create(
            culture,
            $"  {Machine.Cpu}, {Machine.Cores} cores, {Machine.MemoryBytes / 1073741824.0:0.0} GiB, {Machine.Kernel}, {Machine.Runtime}, {Machine.FileSystem}, fsync p50 {Machine.FsyncMilliseconds:0.000} ms"));
        text.WriteLine($"  {Invocation.Version} {Machine.Commit ?? "(unknown commit)"}");
    }

    private static string StatusName(int status) => status == 0 ? "connection" : status.ToString(CultureInfo.InvariantCulture);

    private static string Line(Latencies latencies) => string.Join(
        ", ",
        Percentiles.Select(percentile => string.Create(CultureInfo.InvariantCulture, $"{percentile.Name} {latencies.Milliseconds(percentile.Share):0.00} ms")));

    private static void WriteLatencies(Utf8JsonWriter writer, string name, Latencies latencies)
    {
        writer.WriteStartObject(name);
        writer.WriteNumber("count", latencies.Count);
        foreach (var (percentile, share) in Percentiles)
        {
            MemoryJson.WriteReal(writer, percentile, latencies.Milliseconds(share));
        }

        writer.WriteEndObject();
    }

    private string Cluster => (Plan.OnPostgres ? "PostgreSQL, " : "")
        + (Plan.Nodes == 1 ? "" : string.Create(CultureInfo.InvariantCulture, $"{Plan.Nodes} {(Plan.ClusterKind == ClusterKind.Silo ? "silos" : "nodes")}, quorum {Plan.QuorumWrites}, "));

    private void WriteConvergence(Utf8JsonWriter writer)
    {
        if (Convergence is { } convergence)
        {
            WriteLatencies(writer, "convergence_ms", convergence.Delays);
            writer.WriteNumber("not_converged", convergence.Missing);
        }

        if (CatchUp is { } catchUp)
        {
            writer.WriteStartObject("catch_up");
            writer.WriteNumber("rows", catchUp.Rows);
            MemoryJson.WriteReal(writer, "seconds", Math.Round(catchUp.Elapsed.TotalSeconds, 3));
            MemoryJson.WriteReal(writer, "rows_per_second", Math.Round(catchUp.RowsPerSecond, 1));
            MemoryJson.WriteReal(writer, "cpu_seconds", Math.Round(catchUp.Cpu.TotalSeconds, 3));
            MemoryJson.WriteReal(writer, "start_seconds", Math.Round(catchUp.Start.TotalSeconds, 3));
            writer.WriteEndObject();
        }
    }

    /// <summary>One node is an object, a cluster a list: a report of one node reads as it did before there were clusters.</summary>
    private void WriteNodes(Utf8JsonWriter writer)
    {
        if (Nodes.Count > 1)
        {
            writer.WriteStartArray("nodes");
        }

        foreach (var node in Nodes)
        {
            if (Nodes.Count > 1)
            {
                writer.WriteStartObject();
                writer.WriteString("name", node.Name);
            }
            else
            {
                writer.WriteStartObject("node");
            }

            WriteCpu(writer, node.Cpu);
            writer.WriteNumber("peak_rss_bytes", node.After.PeakBytes);
            writer.WriteEndObject();
        }

        if (Nodes.Count > 1)
        {
            writer.WriteEndArray();
        }
    }

    private IEnumerable<(string Name, Latencies Latencies)> Classes() => Load.Classes.Zip(Load.ByClass);

    private double Share(TimeSpan cpu) => cpu / (Load.Elapsed * Machine.Cores);

    private void WriteCpu(Utf8JsonWriter writer, TimeSpan cpu)
    {
        MemoryJson.WriteReal(writer, "cpu_seconds", Math.Round(cpu.TotalSeconds, 3));
        MemoryJson.WriteReal(writer, "cpu_share", Math.Round(Share(cpu), 4));
    }
}
