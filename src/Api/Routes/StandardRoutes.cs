using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using OrleansMemory.Api.Http;
using OrleansMemory.Api.Json;
using OrleansMemory.Api.OpenApi;
using OrleansMemory.Core;
using OrleansMemory.Core.Governance;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Api.Routes;

/// <summary>Namespaces and their standards, which are named in the path or, as other clients do, in the query or the body.</summary>
internal sealed class StandardRoutes(CallerServices callers)
{
    private const string Path = "/api/v1/namespaces/{namespace}/standard";
    private const string PlainPath = "/api/v1/namespaces";

    public static void Map(IEndpointRouteBuilder endpoints)
    {
        var routes = ActivatorUtilities.CreateInstance<StandardRoutes>(endpoints.ServiceProvider);
        QueryField named = new("namespace", "string", "The namespace whose standard is meant.");
        QueryField inherit = new("inherit", "string", "true: the standards of the namespaces above as well, the most general first.");
        endpoints.MapRead(PlainPath, routes.ListAsync, new("listNamespaces", "Namespaces", "Live memories of each namespace, most first; or the standard of one")
        {
            Query = [named, inherit],
            Answers = [new(200, "NamespacesOrStandard", "All of them, or the standard of the one that is named."), SharedFields.BadRequest],
        });
        MapSet(PlainPath, "putStandardOf", []);
        MapClear(PlainPath, "clearStandardOf", [named with { Required = true }]);
        endpoints.MapRead(Path, routes.GetAsync, new("getStandard", "Namespaces", "The standard of a namespace")
        {
            Query = [inherit],
            Answers = [new(200, "Standard", "The standard, or that there is none."), SharedFields.BadRequest],
        });
        MapSet(Path, "putStandard", []);
        MapClear(Path, "clearStandard", []);

        void MapSet(string path, string id, QueryField[] query) => endpoints.MapWrite("POST", path, routes.SetAsync, new(id, "Namespaces", "Say which memory is the standard of a namespace, and what it asks of writes")
        {
            Headers = [SharedFields.Agent, SharedFields.Quorum],
            Query = query,
            Body = "StandardRequest",
            Answers =
            [
                new(201, "StandardSet", "It is set."), SharedFields.BadRequest, SharedFields.Forbidden, SharedFields.NotFound, SharedFields.TooLarge, SharedFields.MediaType,
                SharedFields.WrongShape, SharedFields.Unavailable,
            ],
        });

        void MapClear(string path, string id, QueryField[] query) => endpoints.MapWrite("DELETE", path, routes.ClearAsync, new(id, "Namespaces", "Take the standard of a namespace away, and its policy")
        {
            Headers = [SharedFields.Agent, SharedFields.Quorum],
            Query = query,
            Answers = [new(200, "StandardCleared", "Whether there was one."), SharedFields.BadRequest, SharedFields.Forbidden, SharedFields.Unavailable],
        });
    }

    /// <summary>Fields of a governance policy, in an object of its own.</summary>
    internal static void Write(Utf8JsonWriter writer, GovernancePolicy policy)
    {
        writer.WriteStartObject();
        writer.WritePropertyName("approver"u8);
        policy.ApproverElement().WriteTo(writer);
        writer.WriteString("delete"u8, GovernancePolicy.NameOf(policy.Delete));
        writer.WriteString("promote"u8, GovernancePolicy.NameOf(policy.Promote));
        writer.WriteString("write"u8, GovernancePolicy.NameOf(policy.Write));
        writer.WriteEndObject();
    }

    private async Task ListAsync(HttpContext context)
    {
        if (new QueryText(context).Text("namespace") is not null)
        {
            await GetAsync(context);
            return;
        }

        var namespaces = await callers.NodeOf(context).NamespacesAsync(context.RequestAborted);
        await JsonAnswer.WriteAsync(context, StatusCodes.Status200OK, namespaces, static (writer, namespaces) =>
        {
            writer.WriteStartObject();
            writer.WritePropertyName("namespaces"u8);
            StatisticsRoutes.WriteNamespaces(writer, namespaces);
            writer.WriteEndObject();
        });
    }

    private async Task GetAsync(HttpContext context)
    {
        var query = new QueryText(context);
        var name = NamespaceOf(context, body: null);
        if (!query.Flag("inherit"))
        {
            await JsonAnswer.WriteAsync(context, StatusCodes.Status200OK, await callers.NodeOf(context).StandardAsync(name, context.RequestAborted), static (writer, standard) => Write(writer, standard));
            return;
        }

        var chain = await callers.NodeOf(context).StandardChainAsync(name, context.RequestAborted);
        await JsonAnswer.WriteAsync(context, StatusCodes.Status200OK, (name, chain), static (writer, answer) => Write(writer, answer.name, answer.chain));
    }

    internal static void Write(Utf8JsonWriter writer, string name, StandardChain chain)
    {
        writer.WriteStartObject();
        writer.WriteStartArray("chain"u8);
        foreach (var link in chain.Chain)
        {
            writer.WriteStringValue(link);
        }

        writer.WriteEndArray();
        writer.WriteNumber("count"u8, chain.Standards.Count);
        writer.WriteString("namespace"u8, name);
        writer.WriteStartArray("standards"u8);
        foreach (var standard in chain.Standards)
        {
            Write(writer, standard);
        }

        writer.WriteEndArray();
        writer.WriteEndObject();
    }

    private async Task SetAsync(HttpContext context)
    {
        var body = await RequestBody.ReadAsync(context, BodyFields.Read);
        var name = NamespaceOf(context, body);

        // Some clients put the fields under a name of their own.
        var fields = body.Find("standard") is { ValueKind: JsonValueKind.Object } nested ? new BodyFields(nested) : body;
        var id = fields.TextOrNull("id") ?? fields.TextOrNull("standard_id") ?? body.TextOrNull("id") ?? throw JsonFields.Missing("id");
        var parent = fields.TextOrNull("parent");
        var policy = (fields.Find("governance") ?? body.Find("governance")) is { } governance ? GovernancePolicy.Parse(governance) : null;
        await callers.NodeOf(context).SetStandardAsync(name, id, parent, policy, Caller.Writes(context));
        await JsonAnswer.WriteAsync(
            context, StatusCodes.Status201Created, new NamespaceStandard(name, id, parent, null, policy), static (writer, set) => WriteSet(writer, set));
    }

    /// <summary>What was set, as it was asked for.</summary>
    internal static void WriteSet(Utf8JsonWriter writer, NamespaceStandard set)
    {
        writer.WriteStartObject();
        if (set.Policy is not null)
        {
            writer.WritePropertyName("governance"u8);
            Write(writer, set.Policy);
        }

        writer.WriteString("namespace"u8, set.Namespace);
        if (set.Parent is not null)
        {
            writer.WriteString("parent"u8, set.Parent);
        }

        writer.WriteBoolean("set"u8, true);
        writer.WriteString("standard_id"u8, set.StandardId);
        writer.WriteEndObject();
    }

    private async Task ClearAsync(HttpContext context)
    {
        var name = NamespaceOf(context, body: null);
        var cleared = await callers.NodeOf(context).ClearStandardAsync(name, Caller.Writes(context));
        await JsonAnswer.WriteAsync(context, StatusCodes.Status200OK, (name, cleared), static (writer, answer) => WriteCleared(writer, answer.name, answer.cleared));
    }

    internal static void WriteCleared(Utf8JsonWriter writer, string name, bool cleared)
    {
        writer.WriteStartObject();
        writer.WriteBoolean("cleared"u8, cleared);
        writer.WriteString("namespace"u8, name);
        writer.WriteEndObject();
    }

    private static string NamespaceOf(HttpContext context, BodyFields? body) =>
        MemoryRules.Namespace(context.Request.RouteValues.ContainsKey("namespace") ? PathId.Text(context, "namespace")
            : body is { } fields ? fields.Text("namespace")
            : new QueryText(context).Text("namespace") ?? throw new MemoryException(ErrorKind.InvalidQuery, "missing query parameter `namespace`"));

    internal static void Write(Utf8JsonWriter writer, NamespaceStandard standard)
    {
        writer.WriteStartObject();
        if (standard.Memory is { } memory)
        {
            writer.WriteString("content"u8, memory.Content);
        }

        if (standard.StandardId is not null || standard.Policy is not null)
        {
            writer.WritePropertyName("governance"u8);
            Write(writer, standard.Policy ?? GovernancePolicy.Default);
        }

        writer.WriteString("namespace"u8, standard.Namespace);
        if (standard.Parent is not null)
        {
            writer.WriteString("parent"u8, standard.Parent);
        }

        if (standard.Memory is not null)
        {
            writer.WriteNumber("priority"u8, standard.Memory.Priority);
        }

        writer.WriteString("standard_id"u8, standard.StandardId);
        if (standard.Memory is not null)
        {
            writer.WriteString("title"u8, standard.Memory.Title);
        }
        else if (standard.StandardId is not null)
        {
            writer.WriteString("warning"u8, "the memory that is the standard is gone");
        }

        writer.WriteEndObject();
    }
}
