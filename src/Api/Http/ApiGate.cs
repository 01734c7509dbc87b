using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using OrleansMemory.Api.Metrics;
using OrleansMemory.Api.Routes;
using OrleansMemory.Core;
using OrleansMemory.Core.Governance;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Api.Http;

/// <summary>
/// Stands before every route: the key, the exact path, draining, the one place where an exception becomes an answer, and the
/// latency of the whole.
/// </summary>
internal sealed partial class ApiGate(
    RequestDelegate next, ApiKeys keys, CallerServices callers, ServingState state, INodeService? node, ApiInstruments instruments, TimeProvider time, ILogger<ApiGate> logger)
{
    private readonly MemoryTokens _tokens = new();
    private readonly ReplicaSetSettings? _set = node?.Replication is { Nodes: > 1 } set ? set : null;

    public async Task InvokeAsync(HttpContext context)
    {
        var started = time.GetTimestamp();
        var route = context.GetEndpoint()?.Metadata.GetMetadata<RouteLabel>();

        // Routing takes letter case and a slash at the end lightly; the contract does not.
        var path = context.Request.Path.Value ?? "";
        var isExact = !(path.Length > 1 && path[^1] == '/') && (route is null || route.Covers(path));
        route = isExact ? route : null;
        var isClient = route is not { IsInternal: true };
        if (isClient)
        {
            state.Enter();
        }

        try
        {
            await AnswerAsync(context, route, isExact);
        }
        catch (MemoryException exception) when (!context.Response.HasStarted)
        {
            await JsonAnswer.WriteErrorAsync(context, exception);
        }
        catch (BadHttpRequestException exception) when (!context.Response.HasStarted)
        {
            // What follows on this connection cannot be told from the broken request.
            context.Response.Headers.Connection = "close";
            var malformed = exception.StatusCode == StatusCodes.Status413PayloadTooLarge ? ErrorKind.BodyTooLarge : ErrorKind.MalformedRequest;
            await JsonAnswer.WriteErrorAsync(context, malformed with { HttpStatus = exception.StatusCode }, exception.Message);
        }
        catch (Exception exception) when (IsCallerGone(context, exception))
        {
            // Nobody reads an answer.
            context.Abort();
        }
        catch (Exception exception)
        {
            await AnswerUnexpectedAsync(context, route, exception);
        }
        finally
        {
            if (isClient)
            {
                state.Leave();
            }

            instruments.Observe(route, context.Response.StatusCode, time.GetElapsedTime(started));
        }
    }

    private Task AnswerAsync(HttpContext context, RouteLabel? route, bool isExact)
    {
        if (HttpMethods.IsOptions(context.Request.Method))
        {
            // 200 without an allow header: browsers of other origins are refused.
            return Task.CompletedTask;
        }

        if (route is not { IsOpen: true })
        {
            if (!keys.Admits(context, out var principal))
            {
                return JsonAnswer.WriteErrorAsync(context, ErrorKind.Unauthorized, "missing or invalid API key");
            }

            if (principal is not null)
            {
                if (route is { IsInternal: true })
                {
                    // What nodes tell each other is everything.
                    Principal.Require(principal.SeesEverything, "speak for a node");
                }

                callers.Set(context, principal);
            }

            if (state.IsDraining && route is not { IsInternal: true })
            {
                context.Response.Headers.Connection = "close";
                return JsonAnswer.WriteErrorAsync(context, _set is not null && route is { IsWrite: true }
                    ? new QuorumException(new(0, _set.QuorumWrites, QuorumReasons.Draining), QuorumException.NotStored, "the node is shutting down; write to another one")
                    : new MemoryException(ErrorKind.Draining, "the node is shutting down"));
            }
        }

        if (!isExact)
        {
            context.Response.StatusCode = StatusCodes.Status404NotFound;
            return Task.CompletedTask;
        }

        return node is null || route is not { IsOpen: false, IsInternal: false } ? next(context) : AnswerAfterTokensAsync(context, node, route);
    }

    /// <summary>Acts on nothing older than what the caller has seen, as its token or the memory of its last answers tells.</summary>
    private async Task AnswerAfterTokensAsync(HttpContext context, INodeService node, RouteLabel route)
    {
        var sent = MemoryTokens.Sent(context);
        if (sent is null && _set is null)
        {
            await next(context);
            return;
        }

        // A caller that leaves cancels no write.
        var cancellation = route.IsWrite ? CancellationToken.None : context.RequestAborted;
        if (sent is { } token)
        {
            await node.WaitForAsync(token, cancellation);
        }
        else
        {
            foreach (var seen in _tokens.Of(context))
            {
                await node.WaitForAsync(seen, cancellation);
            }
        }

        await next(context);
        if (_set is not null)
        {
            _tokens.Remember(context, sent);
        }
    }

    private static bool IsCallerGone(HttpContext context, Exception exception) =>
        exception is OperationCanceledException or IOException
        && (context.RequestAborted.IsCancellationRequested || (exception.InnerException ?? exception) is ConnectionAbortedException or ConnectionResetException);

    private Task AnswerUnexpectedAsync(HttpContext context, RouteLabel? route, Exception exception)
    {
        var request = context.TraceIdentifier;
        LogUnexpected(exception, request, route?.Template ?? RouteLabel.Unknown);
        if (context.Response.HasStarted)
        {
            // A cut answer must look cut.
            context.Abort();
            return Task.CompletedTask;
        }

        context.Response.Headers["X-Request-Id"] = request;
        return JsonAnswer.WriteErrorAsync(context, ErrorKind.Internal, "internal server error");
    }
}
