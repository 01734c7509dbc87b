using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using OrleansMemory.Api.Http;
using OrleansMemory.Api.Json;
using OrleansMemory.Api.OpenApi;
using OrleansMemory.Core;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Api.Routes;

/// <summary>The node among its peers.</summary>
internal sealed class ClusterRoutes(CallerServices callers, TimeProvider time)
{
    private const int DeadLettersShown = 100;

    public static void Map(IEndpointRouteBuilder endpoints)
    {
        var routes = ActivatorUtilities.CreateInstance<ClusterRoutes>(endpoints.ServiceProvider);
        endpoints.MapRead("/api/v1/cluster", routes.StatusAsync, new("cluster", "Cluster", "The node among its peers: who is up, how far behind, what was refused")
        {
            Query = [new("digest", "string", "true adds a digest over all live rows: equal on nodes that hold the same.")],
            Answers = [new(200, "Cluster", "As this node sees it."), SharedFields.BadRequest],
        });
        endpoints.MapQuery("/api/v1/cluster", routes.MembersAsync, new("clusterMembers", "Cluster", "The members; they are configured, so join and leave change nothing")
        {
            Body = "ClusterRequest",
            BodyOptional = true,
            Answers =
            [
                new(200, "ClusterMembers", "As this node sees them; of a join or a leave, that it is so already."), SharedFields.BadRequest, new(409, "Error", "Members are added and taken away in the configuration."),
                SharedFields.TooLarge, SharedFields.MediaType, SharedFields.WrongShape,
            ],
        });
    }

    /// <summary>In the words of the SDKs.</summary>
    private async Task MembersAsync(HttpContext context)
    {
        var body = RequestBody.Exists(context) ? await RequestBody.ReadAsync(context, BodyFields.Read) : BodyFields.Empty;
        var (action, endpoint, agent) = (body.TextOrNull("action") ?? "status", body.TextOrNull("endpoint")?.TrimEnd('/'), body.TextOrNull("agent_id"));
        var status = await callers.NodeOf(context).ClusterAsync(context.RequestAborted);
        var isMember = (agent is not null && agent == status.Log.Node)
            || status.Peers.Any(peer => (agent is not null && peer.Node == agent) || (endpoint is not null && peer.Address.TrimEnd('/') == endpoint));
        switch (action)
        {
            case "list" or "status" or "join" when action != "join" || isMember:
            case "leave" when !isMember:
                break;
            case "join" or "leave":
                throw new MemoryException(ErrorKind.MembersConfigured, "members are configured and not joined by request: set --quorum-peers or OM_QUORUM_PEERS of every node and start them anew");
            default:
                throw new MemoryException(ErrorKind.InvalidQuery, "`action` must be join, leave, list or status");
        }

        await JsonAnswer.WriteAsync(context, StatusCodes.Status200OK, (status, Self: $"{context.Request.Scheme}://{context.Request.Host}", Now: Timestamp.Now(time)), static (writer, answer) =>
        {
            writer.WriteStartObject();
            writer.WriteStartArray("peers"u8);
            foreach (var peer in answer.status.Peers)
            {
                WriteMember(writer, peer.Node ?? peer.Address, peer.Address, peer.LastHeardAt, !peer.IsUp ? "unreachable" : peer is { Problem: not null } or { Hello.Recovering: true } ? "degraded" : "healthy");
            }

            writer.WriteEndArray();
            writer.WritePropertyName("self"u8);
            WriteMember(writer, answer.status.Log.Node, answer.Self, answer.Now, answer.status.Recovering ? "degraded" : "healthy");
            writer.WriteEndObject();
        });
    }

    private static void WriteMember(Utf8JsonWriter writer, string node, string endpoint, Timestamp? lastSeenAt, string status)
    {
        writer.WriteStartObject();
        writer.WriteString("agent_id"u8, node);
        writer.WriteString("endpoint"u8, endpoint);
        writer.WriteString("last_seen_at"u8, lastSeenAt?.ToString());
        writer.WriteString("status"u8, status);
        writer.WriteEndObject();
    }

    private async Task StatusAsync(HttpContext context)
    {
        Digest? digest = new QueryText(context).Text("digest") switch
        {
            null or "false" => null,
            "true" => await callers.NodeOf(context).DigestAsync(context.RequestAborted),
            _ => throw new MemoryException(ErrorKind.InvalidQuery, "query parameter `digest` must be true or false"),
        };
        var letters = await callers.NodeOf(context).DeadLettersAsync(DeadLettersShown, context.RequestAborted);
        await JsonAnswer.WriteAsync(context, StatusCodes.Status200OK, (Status: await callers.NodeOf(context).ClusterAsync(context.RequestAborted), letters, digest), static (writer, answer) =>
        {
            var status = answer.Status;
            writer.WriteStartObject();
            writer.WriteNumber("clock_ahead_ms"u8, (long)status.ClockAhead.TotalMilliseconds);
            WriteFloor(writer, "common_floor"u8, status.Floors.Common);
            WriteDeadLetters(writer, answer.letters);
            if (answer.digest is { } digest)
            {
                writer.WriteString("digest"u8, digest.ToString());
            }

            WriteFloor(writer, "floor"u8, status.Floors.Own);
            writer.WriteNumber("head"u8, status.HeadSequence);
            writer.WriteString("log"u8, status.Log.ToString());
            writer.WriteString("node"u8, status.Log.Node);
            writer.WriteNumber("nodes"u8, status.Nodes);
            writer.WriteStartArray("peers"u8);
            foreach (var peer in status.Peers)
            {
                Write(writer, peer);
            }

            writer.WriteEndArray();
            writer.WriteNumber("quorum_writes"u8, status.QuorumWrites);
            writer.WriteBoolean("recovering"u8, status.Recovering);
            writer.WriteStartObject("vector"u8);
            foreach (var (log, held) in status.Vector.OrderBy(static pair => pair.Key))
            {
                writer.WriteStartObject(log.ToString());
                if (held.Above.Count > 0)
                {
                    writer.WriteString("above"u8, held.FormatAbove());
                }

                writer.WriteNumber("through"u8, held.Through);
                writer.WriteEndObject();
            }

            writer.WriteEndObject();
            writer.WriteEndObject();
        });
    }

    private static void Write(Utf8JsonWriter writer, PeerStatus peer)
    {
        writer.WriteStartObject();
        writer.WriteString("address"u8, peer.Address);
        writer.WriteNumber("behind_rows"u8, peer.BehindRows);
        writer.WriteNumber("behind_seconds"u8, Math.Round(peer.BehindSeconds, 3));
        if (peer.LastHeardAt is { } heard)
        {
            writer.WriteString("last_heard_at"u8, heard.ToString());
        }

        writer.WriteString("node"u8, peer.Node);
        if (peer.Problem is { } problem)
        {
            writer.WriteString("problem"u8, problem);
        }

        if (peer.Hello is { } hello)
        {
            writer.WriteBoolean("recovering"u8, hello.Recovering);
        }

        writer.WriteBoolean("up"u8, peer.IsUp);
        writer.WriteEndObject();
    }

    private static void WriteDeadLetters(Utf8JsonWriter writer, DeadLetters letters)
    {
        writer.WriteStartObject("dead_letters"u8);
        writer.WriteNumber("count"u8, letters.Count);
        writer.WriteStartArray("first"u8);
        foreach (var letter in letters.First)
        {
            writer.WriteStartObject();
            writer.WriteNumber("attempts"u8, letter.Attempts);
            writer.WriteString("key"u8, letter.Mutation.Key);
            writer.WriteNumber("kind"u8, (int)letter.Mutation.Kind);
            writer.WriteString("next_attempt_at"u8, letter.NextAttemptAt.ToString());
            writer.WriteString("position"u8, letter.Mutation.Position.ToString());
            writer.WriteString("reason"u8, Replica.NameOf(letter.Reason));
            writer.WriteString("refused_at"u8, letter.RefusedAt.ToString());
            writer.WriteString("stamp"u8, letter.Mutation.Stamp.ToString());
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        writer.WriteEndObject();
    }

    /// <summary>As an instant; absent before the first.</summary>
    private static void WriteFloor(Utf8JsonWriter writer, ReadOnlySpan<byte> name, long clock)
    {
        if (clock > 0)
        {
            writer.WriteString(name, Timestamp.FromUnixMilliseconds(clock >> Stamp.CounterBits).ToString());
        }
    }
}
