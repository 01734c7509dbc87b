using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using OrleansMemory.Api.Configuration;
using OrleansMemory.Cli.Options;
using OrleansMemory.Cli.Remote;
using OrleansMemory.Core.Memories;
using OrleansMemory.Storage.Clustering;

namespace OrleansMemory.Cli.Commands;

/// <summary>An operator's commands for a cluster.</summary>
internal static class ClusterCommands
{
    private static readonly TimeSpan PollInterval = TimeSpan.FromMilliseconds(500);

    public static CliCommand Create()
    {
        var action = new Argument<string>("ACTION") { Description = "init: make the tables of the cluster's database; status: members, vectors, lag; replace NODE: bring in an empty node in the place of a lost one" };
        var node = new Argument<string?>("NODE") { Description = "Of replace: the id of the lost node", Arity = ArgumentArity.ZeroOrOne };
        var connection = OptionKinds.Text("The cluster's database: postgres://host/name, or a file [env: OM_CLUSTER_DB]", "--connection");
        var id = OptionKinds.Text("Name of the cluster [default: orleans-memory] [env: OM_CLUSTER_ID]", "--cluster-id");
        var wait = OptionKinds.Number("Of replace: seconds to wait for the new node [default: 3600]", 1L, 604_800L, "--wait-secs");
        var command = new Command("cluster", "See to an Orleans cluster; status works on named peers too") { action, node, connection, id, wait };
        return new(command, async session =>
        {
            var database = session.Value(connection) ?? session.Configuration.Cluster.Database;
            var cluster = session.Value(id) ?? session.Configuration.Cluster.Id;
            return session.Required(action) switch
            {
                "init" => await InitializeAsync(session, Required(database)),
                "status" => await StatusAsync(session, database is null ? null : ClusterDatabase.Parse(database), cluster),
                "replace" => await ReplaceAsync(
                    session,
                    Required(database),
                    cluster,
                    session.Value(node) ?? throw new UsageException(command, "replace needs the id of the lost node"),
                    TimeSpan.FromSeconds(session.Value(wait) ?? 3_600)),
                var other => throw new UsageException(command, $"invalid value '{other}' for ACTION: use init, status or replace"),
            };

            ClusterDatabase Required(string? text) =>
                text is null ? throw new UsageException(command, "the argument '--connection' is missing, and OM_CLUSTER_DB is not set") : ClusterDatabase.Parse(text);
        });
    }

    private static async Task<int> InitializeAsync(Session session, ClusterDatabase database)
    {
        await database.InitializeAsync();
        session.Text.WriteLine("the cluster's database is ready");
        return 0;
    }

    private static async Task<int> StatusAsync(Session session, ClusterDatabase? database, string cluster)
    {
        var members = database is null ? [] : await database.ReadMembersAsync(cluster);
        using var client = new NodeClient(session.Address ?? new Uri($"http://{NodeOptions.DefaultHost}:{session.Configuration.Port}"), session.Configuration.ApiKey);
        var status = (await client.GetAsync("cluster?digest=true")).Body;
        if (session.Json)
        {
            session.Report.Json(writer =>
            {
                writer.WriteStartObject();
                writer.WriteStartArray("silos");
                foreach (var member in members)
                {
                    writer.WriteStartObject();
                    writer.WriteString("address", $"{member.Address}:{member.Port.ToString(CultureInfo.InvariantCulture)}");
                    writer.WriteString("alive_at", member.AliveAt);
                    writer.WriteNumber("generation", member.Generation);
                    writer.WriteString("silo", member.Silo);
                    writer.WriteString("started_at", member.StartedAt);
                    writer.WriteString("status", member.StatusName);
                    writer.WriteEndObject();
                }

                writer.WriteEndArray();
                writer.WritePropertyName("node");
                status.WriteTo(writer);
                writer.WriteEndObject();
            });
            return 0;
        }

        foreach (var member in members)
        {
            session.Text.WriteLine(string.Create(CultureInfo.InvariantCulture, $"silo {member.Silo}: {member.StatusName}, {member.Address}:{member.Port}, started {member.StartedAt}, last said that it is alive {member.AliveAt}"));
        }

        session.Text.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"node {status.GetProperty("node").GetString()}: {status.GetProperty("quorum_writes").GetInt32()} of {status.GetProperty("nodes").GetInt32()} must hold a write, log {status.GetProperty("log").GetString()} at {status.GetProperty("head").GetInt64()}, digest {status.GetProperty("digest").GetString()}{(status.GetProperty("recovering").GetBoolean() ? ", recovering" : "")}"));
        foreach (var peer in status.GetProperty("peers").EnumerateArray())
        {
            session.Text.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"peer {NameOf(peer) ?? peer.GetProperty("address").GetString()}: {(peer.GetProperty("up").GetBoolean() ? "up" : "down")}, lacks {peer.GetProperty("behind_rows").GetInt64()} rows of this node{(IsRecovering(peer) ? ", recovering" : "")}"));
        }

        foreach (var held in status.GetProperty("vector").EnumerateObject())
        {
            session.Text.WriteLine(string.Create(CultureInfo.InvariantCulture, $"holds {held.Name} through {held.Value.GetProperty("through").GetInt64()}"));
        }

        return 0;
    }

    /// <summary>A node is its id: an empty store under the same id is the new node, and fetches everything by itself.</summary>
    private static async Task<int> ReplaceAsync(Session session, ClusterDatabase database, string cluster, string node, TimeSpan atMost)
    {
        using var client = new NodeClient(session.Address ?? new Uri($"http://{NodeOptions.DefaultHost}:{session.Configuration.Port}"), session.Configuration.ApiKey);
        var status = (await client.GetAsync("cluster")).Body;
        if (status.GetProperty("node").GetString() == node)
        {
            throw new MemoryException(ErrorKind.MalformedRequest, $"--url names {node} itself: name one of the nodes that are left");
        }

        if (status.GetProperty("recovering").GetBoolean() || status.GetProperty("peers").EnumerateArray().Any(peer => NameOf(peer) != node && (!peer.GetProperty("up").GetBoolean() || IsRecovering(peer))))
        {
            throw new MemoryException(ErrorKind.NotYet, "the nodes that are left must all be up, and none of them recovering, before one is replaced");
        }

        if ((await database.ReadMembersAsync(cluster)).FirstOrDefault(member => member.Silo == node && member.IsMember) is { } alive)
        {
            throw new MemoryException(
                ErrorKind.NotYet,
                string.Create(CultureInfo.InvariantCulture, $"{node} is still a member ({alive.StatusName}, {alive.Address}:{alive.Port}): stop it, or wait until the others have declared it dead"));
        }

        session.Text.WriteLine($"{node} is gone. Start om-silo --node-id {node} with an empty database and the options of the lost one; waiting for it.");
        session.Text.Flush();
        var started = TimeProvider.System.GetTimestamp();
        while (true)
        {
            var peer = (await client.GetAsync("cluster")).Body.GetProperty("peers").EnumerateArray().FirstOrDefault(peer => NameOf(peer) == node);
            if (peer.ValueKind == JsonValueKind.Object && peer.GetProperty("up").GetBoolean() && !IsRecovering(peer) && peer.GetProperty("behind_rows").GetInt64() == 0)
            {
                session.Text.WriteLine($"{node} is back: it holds everything and counts again");
                return 0;
            }

            if (TimeProvider.System.GetElapsedTime(started) > atMost)
            {
                throw new MemoryException(ErrorKind.NotYet, $"{node} did not come back within {atMost.TotalSeconds.ToString("0", CultureInfo.InvariantCulture)} s");
            }

            await Task.Delay(PollInterval);
        }
    }

    private static string? NameOf(JsonElement peer) => peer.TryGetProperty("node", out var name) ? name.GetString() : null;

    private static bool IsRecovering(JsonElement peer) => peer.TryGetProperty("recovering", out var recovering) && recovering.ValueKind == JsonValueKind.True;
}
