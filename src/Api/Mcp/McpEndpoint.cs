using System.Net;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using ModelContextProtocol;
using ModelContextProtocol.Protocol;
using ModelContextProtocol.Server;
using OrleansMemory.Api.Http;
using OrleansMemory.Api.Metrics;
using OrleansMemory.Api.Routes;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Api.Mcp;

/// <summary>
/// The Model Context Protocol over HTTP (streamable HTTP, without state): each POST carries one message, and its answer comes as an event. Whoever calls is
/// known as over every other route; the node keeps no session, so any node answers the next message.
/// </summary>
internal sealed class McpEndpoint(CallerServices callers, ApiOptions options, ToolServices services, ILogger<McpEndpoint> logger)
{
    private const string Path = "/mcp";
    private const string EventStream = "text/event-stream";
    private const string SessionHeader = "Mcp-Session-Id";
    private const string VersionHeader = "MCP-Protocol-Version";
    private const string MethodHeader = "Mcp-Method";
    private const string NameHeader = "Mcp-Name";

    /// <summary>Since this revision there is no handshake; headers say what the body holds.</summary>
    private const string HeadersSince = "2026-07-28";

    private static readonly string[] Versions = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", HeadersSince];

    public static void Map(IEndpointRouteBuilder endpoints)
    {
        var provider = endpoints.ServiceProvider;
        var services = new ToolServices(provider.GetRequiredService<TimeProvider>(), provider.GetRequiredService<ApiInstruments>(), provider.GetRequiredService<SimilarTitles>());
        var endpoint = ActivatorUtilities.CreateInstance<McpEndpoint>(provider, services);

        // Streams that the node opens by itself, and sessions to end, there are none: other methods are answered with 405.
        endpoints.MapMethods(Path, [HttpMethods.Post], endpoint.PostAsync).WithMetadata(new RouteLabel(Path, IsOpen: false));
    }

    private async Task PostAsync(HttpContext context)
    {
        RefuseForeignPages(context);
        var profile = Profile(context);
        var version = context.Request.Headers[VersionHeader].ToString();
        if (version.Length > 0 && Array.IndexOf(Versions, version) < 0)
        {
            var data = new JsonObject { ["supported"] = new JsonArray([.. Versions.Select(static known => (JsonNode)known)]), ["requested"] = version };
            await RefuseAsync(context, StatusCodes.Status400BadRequest, McpErrorCode.UnsupportedProtocolVersion, $"{VersionHeader}: this revision is not known", data);
            return;
        }

        if (!Accepts(context.Request))
        {
            await RefuseAsync(context, StatusCodes.Status406NotAcceptable, McpErrorCode.InvalidRequest, $"the answer comes as {EventStream}, which Accept leaves out");
            return;
        }

        JsonRpcMessage message;
        try
        {
            message = await RequestBody.ReadAsync(context, JsonRpcMessages.Read);
        }
        catch (MemoryException exception) when (exception.Kind == ErrorKind.MalformedRequest)
        {
            await RefuseAsync(context, StatusCodes.Status400BadRequest, McpErrorCode.ParseError, $"parse error: {exception.Message}");
            return;
        }

        var hasHeaders = string.CompareOrdinal(version, HeadersSince) >= 0;
        if (hasHeaders && !Agrees(context.Request, message))
        {
            await RefuseAsync(context, StatusCodes.Status400BadRequest, McpErrorCode.HeaderMismatch, $"{MethodHeader} or {NameHeader} is missing, or says other than the body");
            return;
        }

        string? session = null;
        if (!hasHeaders && context.Request.Headers[SessionHeader].ToString() is { Length: > 0 } sent && (session = ClientNames.OfSession(sent)) is null)
        {
            await RefuseAsync(context, StatusCodes.Status404NotFound, (McpErrorCode)(-32001), "no node has made this session; begin a new one");
            return;
        }

        if (version.Length > 0)
        {
            (message.Context ??= new()).ProtocolVersion = version;
        }

        if (!hasHeaders && message is JsonRpcRequest { Method: RequestMethods.Initialize } initialize)
        {
            context.Response.Headers[SessionHeader] = ClientNames.NewSession(ClientOf(initialize));
        }

        await AnswerAsync(context, message, profile, session, hasHeaders);
    }

    private async Task AnswerAsync(HttpContext context, JsonRpcMessage message, ToolProfile profile, string? session, bool hasHeaders)
    {
        Task running = Task.CompletedTask;
        var handlers = new McpHandlers(profile, CallAsync, services, logger);

        // What clients do wrong is told to them and not to the log.
        var transport = new StreamableHttpServerTransport { Stateless = true };
        var server = McpServer.Create(transport, handlers.ToOptions(), serviceProvider: context.RequestServices);
        var serving = server.RunAsync(context.RequestAborted);
        try
        {
            var response = context.Response;
            response.ContentType = EventStream;
            response.Headers.CacheControl = "no-cache,no-store";
            response.Headers["X-Accel-Buffering"] = "no";
            context.Features.GetRequiredFeature<IHttpResponseBodyFeature>().DisableBuffering();
            if (!await transport.HandlePostRequestAsync(message, response.Body, Starting, context.RequestAborted))
            {
                // A notification, or an answer to a question that nobody asked.
                response.Headers.Remove("X-Accel-Buffering");
                response.ContentType = null;
                response.StatusCode = StatusCodes.Status202Accepted;
            }
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException && !context.Response.HasStarted)
        {
            // The transport reads the handshake before any handler does.
            context.Response.Headers.Remove(SessionHeader);
            await RefuseAsync(context, StatusCodes.Status400BadRequest, McpErrorCode.InvalidParams, "the parameters are not of the shape that the method takes");
        }
        finally
        {
            await server.DisposeAsync();
            await transport.DisposeAsync();
            try
            {
                await serving;
            }
            catch (OperationCanceledException)
            {
                // The caller went away.
            }

            // A write that has begun is part of the request, whether or not anybody waits for its answer.
            await running.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        Task<ToolAnswer> CallAsync(string? client, Func<ToolCaller, Task<ToolAnswer>> run)
        {
            var agent = Caller.Agent(context) ?? CallerServices.PrincipalOf(context)?.AgentId ?? session ?? (client is null ? null : ClientNames.Of(client));
            var call = run(new(callers.NodeOf(context), agent, Caller.Quorum(context), position => MemoryTokens.Answer(context, position)));
            running = call;
            return call;
        }

        ValueTask Starting(JsonRpcMessage? first)
        {
            // What is wrong with a message is its status too, since the revision that has headers.
            if (hasHeaders && first is JsonRpcError { Error.Code: var code } && !context.Response.HasStarted)
            {
                context.Response.StatusCode = (McpErrorCode)code switch
                {
                    McpErrorCode.MethodNotFound => StatusCodes.Status404NotFound,
                    McpErrorCode.InternalError => StatusCodes.Status500InternalServerError,
                    McpErrorCode.InvalidParams => StatusCodes.Status200OK,
                    _ => StatusCodes.Status400BadRequest,
                };
            }

            return ValueTask.CompletedTask;
        }
    }

    /// <summary>
    /// A page in a browser can be made to talk to a node of this machine under the page's own name. A node with a key is safe from that: the page has none.
    /// </summary>
    private void RefuseForeignPages(HttpContext context)
    {
        var origin = context.Request.Headers.Origin.ToString();
        if (origin.Length > 0 && string.IsNullOrEmpty(options.ApiKey) && options.Keys.Count == 0 && !(Uri.TryCreate(origin, UriKind.Absolute, out var page) && IsLoopback(page.Host)))
        {
            throw new MemoryException(ErrorKind.Forbidden, "a node without a key answers no page of another machine");
        }
    }

    private static bool IsLoopback(string host) =>
        host.Equals("localhost", StringComparison.OrdinalIgnoreCase) || (IPAddress.TryParse(host.Trim('[', ']'), out var address) && IPAddress.IsLoopback(address));

    private static ToolProfile Profile(HttpContext context) => new QueryText(context).Text("profile") is { } name
        ? ToolProfiles.Find(name) ?? throw new MemoryException(ErrorKind.InvalidQuery, $"query parameter `profile` must be {ToolProfiles.Names}")
        : ToolProfile.Full;

    private static bool Accepts(HttpRequest request)
    {
        var accepted = request.Headers.Accept.ToString();
        return accepted.Length == 0 || accepted.Contains(EventStream, StringComparison.OrdinalIgnoreCase) || accepted.Contains("*/*", StringComparison.Ordinal) || accepted.Contains("text/*", StringComparison.OrdinalIgnoreCase);
    }

    private static bool Agrees(HttpRequest request, JsonRpcMessage message)
    {
        var (method, parameters) = message switch
        {
            JsonRpcRequest asked => (asked.Method, asked.Params),
            JsonRpcNotification told => (told.Method, told.Params),
            _ => (null, null),
        };
        return method is null
            || (request.Headers[MethodHeader].ToString().Trim() == method
                && (method is not (RequestMethods.ToolsCall or RequestMethods.PromptsGet) || request.Headers[NameHeader].ToString().Trim() == Text(parameters, "name")));
    }

    private static string? ClientOf(JsonRpcRequest initialize) => initialize.Params is JsonObject parameters ? Text(parameters["clientInfo"], "name") : null;

    private static string? Text(JsonNode? node, string field) =>
        node is JsonObject fields && fields.TryGetPropertyValue(field, out var value) && value is JsonValue text && text.TryGetValue<string>(out var found) ? found : null;

    private static Task RefuseAsync(HttpContext context, int status, McpErrorCode code, string text, JsonObject? data = null) =>
        JsonAnswer.WriteAsync(context, status, (code, text, data), static (writer, error) => JsonRpcErrors.Write(writer, error.code, error.text, error.data));
}
