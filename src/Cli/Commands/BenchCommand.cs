using System.CommandLine;
using System.Net;
using System.Net.Sockets;
using OrleansMemory.Cli.Bench;
using OrleansMemory.Cli.Options;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Cli.Commands;

/// <summary>Measures a node: its own fresh one, whose CPU and memory are told apart from the generator's, or the one at <c>--url</c>.</summary>
internal static class BenchCommand
{
    private const int Seed = 20_260_420;
    private const long DefaultRecallRows = 100_000;

    public static CliCommand Create()
    {
        var kind = new Argument<string>("KIND") { Description = "writes or recall" };
        var connections = OptionKinds.Number("Connections [default: 64; recall 8]", 1, 4096, "--connections");
        var seconds = OptionKinds.Number("Seconds to measure [default: 10; with --requests no limit]", 0.1, 86_400.0, "--seconds");
        var requests = OptionKinds.Number("Requests to measure at most", 1L, 1_000_000_000L, "--requests");
        var warmup = OptionKinds.Number("Seconds of load before that [default: 2]", 0.0, 600.0, "--warmup-secs");
        var rows = OptionKinds.Number("Memories to load first [default: 0; recall 100000]", 0L, 100_000_000L, "--rows");
        var rate = OptionKinds.Number("Requests a second, sent on time whatever the answers do [default: as fast as answered]", 0.1, 1e6, "--rate");
        var data = OptionKinds.Text("Folder for the node's database [default: the folder for temporary files]", "--data");
        var command = new Command("bench", "Measure stores or recalls on a fresh node") { kind, connections, seconds, requests, warmup, rows, rate, data };
        return new(command, async session =>
        {
            var recall = session.Required(kind) switch
            {
                "writes" => false,
                "recall" => true,
                var other => throw new UsageException(command, $"invalid value '{other}' for KIND: use writes or recall"),
            };
            var plan = new BenchPlan(
                recall,
                session.Value(connections) ?? (recall ? 8 : 64),
                TimeSpan.FromSeconds(session.Value(seconds) ?? (session.Value(requests) is null ? 10 : 86_400)),
                session.Value(requests) ?? long.MaxValue,
                TimeSpan.FromSeconds(session.Value(warmup) ?? 2),
                session.Value(rows) ?? (recall ? DefaultRecallRows : 0),
                session.Value(rate));
            var folder = Path.GetFullPath(session.Value(data) ?? Path.GetTempPath());
            BenchReport report;
            if (session.Address is { } address)
            {
                report = await RunAsync(session, plan, address, null, folder);
            }
            else
            {
                await using var node = await NodeProcess.StartAsync(folder);
                report = await RunAsync(session, plan, node.Address, node, node.Folder);
            }

            if (session.Json)
            {
                session.Report.Json(report.WriteJson);
            }
            else
            {
                report.WriteText(session.Text);
            }

            return 0;
        });
    }

    private static async Task<BenchReport> RunAsync(Session session, BenchPlan plan, Uri address, NodeProcess? node, string folder)
    {
        if (address.Scheme != Uri.UriSchemeHttp)
        {
            throw new MemoryException(ErrorKind.MalformedRequest, "bench speaks plain http only");
        }

        var machine = Machine.Describe(folder);
        var addresses = await Dns.GetHostAddressesAsync(address.DnsSafeHost, AddressFamily.Unspecified);
        var endpoint = new IPEndPoint(addresses[0], address.Port);
        var host = address.Authority;
        var key = node is null ? session.Configuration.ApiKey : null;
        var text = new BenchText(Seed);
        if (plan.Rows > 0)
        {
            session.Error.WriteLine($"loading {plan.Rows} memories");
            await RowLoader.LoadAsync(endpoint, host, key, text, plan.Rows);
        }

        IRequestSource source = plan.Recall ? new RecallRequests(host, key, text) : new WriteRequests(host, key, text);
        var load = new Load(endpoint, source, plan.Connections, plan.Rate);
        if (plan.Warmup > TimeSpan.Zero)
        {
            load.Run(plan.Warmup);
        }

        var nodeBefore = node?.Usage();
        var generatorBefore = Environment.CpuUsage.TotalTime;
        var result = load.Run(plan.Duration, plan.Requests);
        return new(plan, result, machine, nodeBefore, node?.Usage(), Environment.CpuUsage.TotalTime - generatorBefore);
    }
}
