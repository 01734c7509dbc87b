using System.CommandLine;
using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using OrleansMemory.Cli.Bench;
using OrleansMemory.Cli.Cluster;
using OrleansMemory.Cli.Options;
using OrleansMemory.Core;
using OrleansMemory.Core.Memories;
using OrleansMemory.Gate.Nodes;
using OrleansMemory.Storage;
using OrleansMemory.Storage.Postgres;

namespace OrleansMemory.Cli.Commands;

/// <summary>Measures fresh nodes of its own, whose CPU and memory are told apart from the generator's, or the node at <c>--url</c>.</summary>
internal static class BenchCommand
{
    private const int Seed = 20_260_420;
    private const long DefaultRecallRows = 100_000;
    private const long DefaultBackfillRows = 1_000_000;
    private const int MostNodes = 7;

    /// <summary>Convergence is measured at half of the load that the nodes can take.</summary>
    private const double Half = 0.5;

    private static readonly TimeSpan VectorsPause = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan ConnectDeadline = TimeSpan.FromSeconds(20);

    public static CliCommand Create()
    {
        var kind = new Argument<string>("KIND") { Description = "writes, recall, convergence: the time until every node has a write, backfill: a start on an old database, or locomo: what recall finds of the evidence of questions" };
        var connections = OptionKinds.Number("Connections [default: 64; recall 8; backfill 4]", 1, 4096, "--connections");
        var seconds = OptionKinds.Number("Seconds to measure [default: 10; with --requests no limit]", 0.1, 86_400.0, "--seconds");
        var requests = OptionKinds.Number("Requests to measure at most", 1L, 1_000_000_000L, "--requests");
        var warmup = OptionKinds.Number("Seconds of load before that [default: 2]", 0.0, 600.0, "--warmup-secs");
        var rows = OptionKinds.Number("Memories to load first [default: 0; recall 100000; backfill 1000000]", 0L, 100_000_000L, "--rows");
        var rate = OptionKinds.Number("Requests a second, sent on time whatever the answers do [default: as fast as answered; convergence half of that; backfill 100]", 0.1, 1e6, "--rate");
        var data = OptionKinds.Text("Folder for the nodes' databases [default: the folder for temporary files]; with locomo the file of conversations", "--data");
        var nodes = OptionKinds.Number("Nodes of the cluster; connections are spread over them [default: 1; convergence 3]", 1, MostNodes, "--nodes");
        var quorum = OptionKinds.Number("Nodes that hold a write before it is answered [default: the majority]", 1, MostNodes, "--quorum");
        var catchUp = OptionKinds.Number("With convergence: memories that one node misses and then catches up with", 1L, 100_000_000L, "--catch-up");
        var postgres = OptionKinds.Flag("Nodes on PostgreSQL, each with a private server of its own", "--postgres");
        var cluster = OptionKinds.Text("Host of several nodes: silo (Orleans) or peers [default: peers]", "--cluster");
        var vectors = OptionKinds.Number("With recall: numbers of the vector that a made-up embedding model gives each memory and query [default: by words alone]", 1, MemoryLimits.VectorDimensions, "--vectors");
        var vectorsIn = OptionKinds.Text("With --vectors: memory, or database (PostgreSQL with pgvector) [default: memory]", "--vectors-in");
        var command = new Command("bench", "Measure stores, recalls, convergence or backfills on fresh nodes, or how good recall is")
        {
            kind, connections, seconds, requests, warmup, rows, rate, data, nodes, quorum, catchUp, postgres, cluster, vectors, vectorsIn,
        };
        return new(command, async session =>
        {
            if (session.Required(kind) == "locomo")
            {
                return session.Address is null && session.Value(data) is { } file
                    ? await LocomoAsync(session, Path.GetFullPath(file), session.Value(postgres))
                    : throw new UsageException(command, "locomo asks a fresh store: it needs '--data' with the file of conversations, and takes '--postgres' and '--json'");
            }

            if (session.Required(kind) == "backfill")
            {
                return session.Address is null && session.Value(nodes) is null && session.Value(quorum) is null && session.Value(catchUp) is null && !session.Value(postgres) && session.Value(cluster) is null
                    ? await BackfillAsync(
                        session,
                        Path.GetFullPath(session.Value(data) ?? Path.GetTempPath()),
                        session.Value(rows) ?? DefaultBackfillRows,
                        session.Value(connections) ?? 4,
                        session.Value(rate) ?? 100,
                        TimeSpan.FromSeconds(session.Value(seconds) ?? 10))
                    : throw new UsageException(command, "backfill measures one fresh node on a file: it takes '--rows', '--connections', '--rate', '--seconds' and '--data'");
            }

            var measured = session.Required(kind) switch
            {
                "writes" => BenchKind.Writes,
                "recall" => BenchKind.Recall,
                "convergence" => BenchKind.Convergence,
                var other => throw new UsageException(command, $"invalid value '{other}' for KIND: use writes, recall, convergence, backfill or locomo"),
            };
            var recall = measured == BenchKind.Recall;
            var count = session.Value(nodes) ?? (measured == BenchKind.Convergence ? 3 : 1);
            var plan = new BenchPlan(
                measured,
                session.Value(connections) ?? (recall ? 8 : 64),
                TimeSpan.FromSeconds(session.Value(seconds) ?? (session.Value(requests) is null ? 10 : 86_400)),
                session.Value(requests) ?? long.MaxValue,
                TimeSpan.FromSeconds(session.Value(warmup) ?? 2),
                session.Value(rows) ?? (recall ? DefaultRecallRows : 0),
                session.Value(rate),
                count,
                session.Value(quorum) ?? ((count / 2) + 1),
                session.Value(catchUp) ?? 0,
                session.Value(postgres),
                SiloProgram.Choose(session.Value(cluster) ?? "peers"))
            {
                Vectors = session.Value(vectors),
                VectorsInDatabase = session.Value(vectorsIn) switch
                {
                    null or "memory" => false,
                    "database" => true,
                    var other => throw new UsageException(command, $"invalid value '{other}' for '--vectors-in': use memory or database"),
                },
            };
            Check(command, plan, onOthersNode: session.Address is not null);
            var folder = Path.GetFullPath(session.Value(data) ?? Path.GetTempPath());
            BenchReport report;
            if (session.Address is { } address)
            {
                report = await RunAsync(session, plan, [address], null, session.Configuration.ApiKey, folder);
            }
            else
            {
                await using var model = plan.Vectors is { } dimension ? await BenchModel.StartAsync(dimension) : null;
                await using var scratch = await ScratchCluster.StartAsync(
                    folder, "om-bench", plan.Nodes, plan.QuorumWrites, plan.OnPostgres, plan.ClusterKind, model?.Variables(plan.VectorsInDatabase));
                await ConnectAsync(scratch.Cluster);
                report = await RunAsync(session, plan, scratch.Cluster.Addresses, scratch.Cluster, null, scratch.Cluster.Folder);
            }

            if (session.Json)
            {
                session.Report.Json(report.WriteJson);
            }
            else
            {
                report.WriteText(session.Text);
            }

            return report.Convergence is { Missing: > 0 } ? 1 : 0;
        });
    }

    private static async Task<int> BackfillAsync(Session session, string folder, long rows, int connections, double rate, TimeSpan idle)
    {
        await using var scratch = await ScratchCluster.StartAsync(folder, "om-bench", nodes: 1, quorumWrites: null, onPostgres: false, ClusterKind.Peers);
        session.Error.WriteLine($"loading {rows} memories");
        var report = await new BackfillBench(scratch.Cluster, new BenchText(Seed), rows, connections, rate, idle).RunAsync(Machine.Describe(folder));
        if (session.Json)
        {
            session.Report.Json(report.WriteJson);
        }
        else
        {
            report.WriteText(session.Text);
        }

        return report.Holds ? 0 : 1;
    }

    /// <summary>A store of its own in this process, with the ranking that the configuration sets.</summary>
    private static async Task<int> LocomoAsync(Session session, string file, bool onPostgres)
    {
        var conversations = LocomoData.Read(file);

        // Not one for this user alone: a PostgreSQL server runs as another.
        var folder = Directory.CreateDirectory(Path.Combine(Path.GetTempPath(), $"om-bench-{Guid.NewGuid():n}"));
        try
        {
            await using var server = onPostgres ? await LocalPostgres.StartAsync(Path.Combine(folder.FullName, "orleans-memory.pg")) : null;
            var location = StoreLocation.Parse(server is null ? Path.Combine(folder.FullName, "locomo.db") : await server.CreateDatabaseAsync("locomo"));
            await using var local = await LocalService.OpenAsync(new(location, InDataFolder: false), new NodeSettings { Scoring = session.Configuration.Validate().Scoring });
            var report = await new LocomoBench(local.Service, conversations).RunAsync(Machine.Describe(folder.FullName), onPostgres ? "postgresql" : "sqlite");
            if (session.Json)
            {
                session.Report.Json(report.WriteJson);
            }
            else
            {
                report.WriteText(session.Text);
            }

            return 0;
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private static void Check(Command command, BenchPlan plan, bool onOthersNode)
    {
        if (plan.QuorumWrites > plan.Nodes)
        {
            throw new UsageException(command, $"invalid value '{plan.QuorumWrites}' for '--quorum': there are {plan.Nodes} nodes");
        }

        if (plan.Kind != BenchKind.Convergence)
        {
            if (plan.CatchUpRows > 0)
            {
                throw new UsageException(command, "the argument '--catch-up' needs the KIND convergence");
            }
        }
        else if (plan.Nodes == 1)
        {
            throw new UsageException(command, "convergence needs '--nodes' of 2 or more");
        }
        else if (plan.CatchUpRows > 0 && plan.QuorumWrites == plan.Nodes)
        {
            throw new UsageException(command, "the argument '--catch-up' stops a node: '--quorum' must be below '--nodes'");
        }

        if (plan.Nodes == 1 && plan.ClusterKind == ClusterKind.Silo)
        {
            throw new UsageException(command, "the argument '--cluster silo' needs '--nodes' of 2 or more");
        }

        if ((plan.Vectors is not null && (plan.Kind != BenchKind.Recall || onOthersNode)) || (plan.VectorsInDatabase && (plan.Vectors is null || !plan.OnPostgres)))
        {
            throw new UsageException(command, "the argument '--vectors' is for recall on fresh nodes, and '--vectors-in database' needs it and '--postgres'");
        }

        if (onOthersNode && plan.OnPostgres)
        {
            throw new UsageException(command, "the argument '--url' names a node that has its store: it cannot be used with '--postgres'");
        }

        if (onOthersNode && plan.Nodes > 1)
        {
            throw new UsageException(command, "the argument '--url' names one node: it cannot be used with '--nodes' or convergence");
        }
    }

    private static async Task ConnectAsync(ClusterProcess cluster)
    {
        if (cluster.Count > 1)
        {
            using var health = new ClusterHealth(cluster.Addresses, apiKey: null);
            using var deadline = new CancellationTokenSource(ConnectDeadline);
            await health.WaitUntilConnectedAsync(deadline.Token);
        }
    }

    private static async Task<BenchReport> RunAsync(Session session, BenchPlan plan, IReadOnlyList<Uri> addresses, ClusterProcess? cluster, string? key, string folder)
    {
        if (addresses[0].Scheme != Uri.UriSchemeHttp)
        {
            throw new MemoryException(ErrorKind.MalformedRequest, "bench speaks plain http only");
        }

        var machine = Machine.Describe(folder);
        var endpoints = new List<IPEndPoint>();
        foreach (var address in addresses)
        {
            endpoints.Add(new((await Dns.GetHostAddressesAsync(address.DnsSafeHost, AddressFamily.Unspecified))[0], address.Port));
        }

        var host = addresses[0].Authority;
        var text = new BenchText(Seed);
        if (plan.Rows > 0)
        {
            session.Error.WriteLine($"loading {plan.Rows} memories");
            await RowLoader.LoadAsync(endpoints, host, key, text, plan.Rows);
        }

        if (plan.Vectors is not null)
        {
            session.Error.WriteLine("waiting for their vectors");
            await WaitForVectorsAsync(addresses, plan.VectorsInDatabase);
        }

        IRequestSource source = plan.Kind == BenchKind.Recall ? new RecallRequests(host, key, text) : new WriteRequests(host, key, text);
        var load = new Load(endpoints, source, plan.Connections, plan.Kind == BenchKind.Convergence ? null : plan.Rate);
        LoadResult? warm = null;
        if (plan.Warmup > TimeSpan.Zero)
        {
            warm = load.Run(plan.Warmup);
        }

        if (plan.Kind == BenchKind.Convergence)
        {
            var rate = plan.Rate ?? (warm is null ? throw new MemoryException(ErrorKind.MalformedRequest, "convergence without a warm-up needs --rate")
                : Math.Max(1, Math.Round(warm.All.Count / warm.Elapsed.TotalSeconds * Half)));
            return await ConvergeAsync(session, plan with { Rate = rate }, load, source, endpoints, cluster!, machine, text);
        }

        var before = Usages(cluster);
        var generatorBefore = Environment.CpuUsage.TotalTime;
        var result = load.Run(plan.Duration, plan.Requests);
        return new(plan, result, machine, Since(before, cluster), Environment.CpuUsage.TotalTime - generatorBefore);
    }

    /// <summary>Until every node says that all of its memories have vectors, where they are meant to be.</summary>
    private static async Task WaitForVectorsAsync(IReadOnlyList<Uri> addresses, bool inDatabase)
    {
        using var client = new HttpClient();
        foreach (var address in addresses)
        {
            using var features = JsonDocument.Parse(await client.GetStringAsync(new Uri(address, "/api/v1/capabilities")));
            var models = features.RootElement.GetProperty("models"u8);
            if (models.GetProperty("vectors"u8).GetString() != (inDatabase ? "database" : "memory"))
            {
                throw new MemoryException(ErrorKind.StoreFailed, $"vectors are not in the database: {models.GetProperty("vectors_problem"u8).GetString()}");
            }

            while (true)
            {
                using var answer = JsonDocument.Parse(await client.GetStringAsync(new Uri(address, "/api/v1/recall?context=any&limit=1")));
                if (answer.RootElement.GetProperty("recall_mode"u8).GetString() == "hybrid" && !answer.RootElement.TryGetProperty("degraded"u8, out _))
                {
                    break;
                }

                await Task.Delay(VectorsPause);
            }
        }
    }

    private static async Task<BenchReport> ConvergeAsync(
        Session session, BenchPlan plan, Load warm, IRequestSource source, IReadOnlyList<IPEndPoint> endpoints, ClusterProcess cluster, Machine machine, BenchText text)
    {
        var receipts = new ReceiptLog();
        var load = new Load(endpoints, source, plan.Connections, plan.Rate, receipts, warm);
        await using var probe = new ConvergenceProbe(cluster);
        var before = Usages(cluster);
        var generatorBefore = Environment.CpuUsage.TotalTime;
        var result = load.Run(plan.Duration, plan.Requests);
        var report = new BenchReport(plan, result, machine, Since(before, cluster), Environment.CpuUsage.TotalTime - generatorBefore)
        {
            Convergence = await probe.ResultAsync(receipts),
        };
        if (plan.CatchUpRows == 0)
        {
            return report;
        }

        session.Error.WriteLine($"writing {plan.CatchUpRows} memories while one node is away");
        return report with { CatchUp = await CatchUp.MeasureAsync(cluster, endpoints, text, plan.CatchUpRows, plan.Rows) };
    }

    private static List<ProcessUsage> Usages(ClusterProcess? cluster) =>
        cluster is null ? [] : [.. Enumerable.Range(0, cluster.Count).Select(node => cluster[node].Usage())];

    private static List<NodeUsage> Since(List<ProcessUsage> before, ClusterProcess? cluster) =>
        [.. before.Select((usage, node) => new NodeUsage(ClusterProcess.NameOf(node), usage, cluster![node].Usage()))];
}
