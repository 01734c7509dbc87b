using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using OrleansMemory.Api.Metrics;
using OrleansMemory.Api.Routes;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Api.Http;

/// <summary>
/// Stands before every route: the key, the exact path, draining, the one place where an exception becomes an answer, and the
/// latency of the whole.
/// </summary>
internal sealed partial class ApiGate(
    RequestDelegate next, ApiKey key, ServingState state, ApiInstruments instruments, TimeProvider time, ILogger<ApiGate> logger)
{
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
            if (!key.Admits(context))
            {
                return JsonAnswer.WriteErrorAsync(context, ErrorKind.Unauthorized, "missing or invalid API key");
            }

            if (state.IsDraining && route is not { IsInternal: true })
            {
                context.Response.Headers.Connection = "close";
                return JsonAnswer.WriteErrorAsync(context, ErrorKind.Draining, "the node is shutting down");
            }
        }

        if (!isExact)
        {
            context.Response.StatusCode = StatusCodes.Status404NotFound;
            return Task.CompletedTask;
        }

        return next(context);
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
