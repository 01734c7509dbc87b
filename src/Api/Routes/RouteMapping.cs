using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using OrleansMemory.Api.OpenApi;

namespace OrleansMemory.Api.Routes;

/// <summary>What a route is called in metrics, and its exact spelling.</summary>
/// <param name="Template">As <c>/api/v1/memories/{id}/promote</c>.</param>
/// <param name="IsOpen">Served without a key and while draining.</param>
/// <param name="IsWrite">It may change what is stored.</param>
/// <param name="IsInternal">For other nodes: served while draining, counted among no client's requests.</param>
internal sealed record RouteLabel(string Template, bool IsOpen, bool IsWrite = false, bool IsInternal = false)
{
    public const string Unknown = "unknown";

    private readonly string _before = Template.Contains('{') ? Template[..Template.IndexOf('{')] : Template;
    private readonly string _after = Template.Contains('}') ? Template[(Template.IndexOf('}') + 1)..] : "";

    /// <summary>Whether the path has the literal parts of the template, letter for letter.</summary>
    public bool Covers(string path) =>
        path.StartsWith(_before, StringComparison.Ordinal) && path.EndsWith(_after, StringComparison.Ordinal);
}

/// <summary>Routes between nodes, which a host adds: not part of the documented API.</summary>
public static class InternalRoutes
{
    /// <summary>A POST behind the node's key, answered until the node is gone.</summary>
    public static void MapInternal(this IEndpointRouteBuilder endpoints, string template, RequestDelegate handler) =>
        endpoints.MapMethods(template, [HttpMethods.Post], handler).WithMetadata(new RouteLabel(template, IsOpen: false, IsInternal: true));
}

internal static class RouteMapping
{
    public static void MapRead(this IEndpointRouteBuilder endpoints, string template, RequestDelegate handler, RouteDescription description, bool open = false) =>
        Map(endpoints, template, [HttpMethods.Get, HttpMethods.Head], handler, description, open, isWrite: false);

    /// <summary>A read whose question comes in a body.</summary>
    public static void MapQuery(this IEndpointRouteBuilder endpoints, string template, RequestDelegate handler, RouteDescription description) =>
        Map(endpoints, template, [HttpMethods.Post], handler, description, open: false, isWrite: false);

    public static void MapWrite(this IEndpointRouteBuilder endpoints, string method, string template, RequestDelegate handler, RouteDescription description) =>
        Map(endpoints, template, [method], handler, description, open: false, isWrite: true);

    private static void Map(
        IEndpointRouteBuilder endpoints, string template, string[] methods, RequestDelegate handler, RouteDescription description, bool open, bool isWrite) =>

        // The method is what makes a plain delegate visible to the OpenAPI generator.
        endpoints.MapMethods(template, methods, handler).WithMetadata(new RouteLabel(template, open, isWrite), description, handler.Method);
}
