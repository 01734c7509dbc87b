using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using OrleansMemory.Api.Http;
using OrleansMemory.Core;

namespace OrleansMemory.Api.Routes;

/// <summary>Served without a key.</summary>
internal sealed class HealthRoutes(IMemoryService service, ServingState state, ApiOptions options)
{
    private volatile bool _started;

    public static void Map(IEndpointRouteBuilder endpoints)
    {
        var routes = ActivatorUtilities.CreateInstance<HealthRoutes>(endpoints.ServiceProvider);
        endpoints.MapRead("/api/v1/health", routes.HealthAsync, new("health", "Health", "Whether the node can serve, and what is unsafe about its set-up")
        {
            Answers = [new(200, "Health", "It can."), new(503, "Health", "It cannot.")],
        }, open: true);
        endpoints.MapRead("/livez", LiveAsync, new("livez", "Health", "The process answers")
        {
            Answers = [new(200, "Status", "Always.")],
        }, open: true);
        endpoints.MapRead("/startupz", routes.StartedAsync, new("startupz", "Health", "Whether the node was ready once since it was started")
        {
            Answers = [new(200, "Status", "It was; whether it still is tells /readyz."), new(503, "Status", "Not yet; the reason is told.")],
        }, open: true);
        endpoints.MapRead("/readyz", routes.ReadyAsync, new("readyz", "Health", "Whether requests should be sent here")
        {
            Answers = [new(200, "Status", "They should; a reason says what is wrong all the same."), new(503, "Status", "They should not; the reason is told.")],
        }, open: true);
    }

    private Task HealthAsync(HttpContext context)
    {
        var ready = service.Health().Ready;
        return JsonAnswer.WriteAsync(context, ready ? 200 : 503, (ready, options.Warnings), static (writer, health) =>
        {
            writer.WriteStartObject();
            writer.WriteString("service"u8, "ai-memory"u8);
            writer.WriteString("status"u8, health.ready ? "ok"u8 : "error"u8);
            if (health.Warnings.Count > 0)
            {
                writer.WriteStartArray("warnings"u8);
                foreach (var warning in health.Warnings)
                {
                    writer.WriteStringValue(warning);
                }

                writer.WriteEndArray();
            }

            writer.WriteEndObject();
        });
    }

    private static Task LiveAsync(HttpContext context) => WriteStatusAsync(context, 200, "alive", null);

    private Task ReadyAsync(HttpContext context)
    {
        var health = state.IsDraining ? new(false, "draining") : service.Health();
        return health.Ready ? WriteStatusAsync(context, 200, "ready", health.Reason) : WriteStatusAsync(context, 503, "not_ready", health.Reason);
    }

    private Task StartedAsync(HttpContext context)
    {
        var health = _started ? new(true, null) : service.Health();
        _started |= health.Ready;
        return _started ? WriteStatusAsync(context, 200, "started", null) : WriteStatusAsync(context, 503, "not_started", health.Reason);
    }

    private static Task WriteStatusAsync(HttpContext context, int status, string word, string? reason) =>
        JsonAnswer.WriteAsync(context, status, (word, reason), static (writer, answer) =>
        {
            writer.WriteStartObject();
            if (answer.reason is not null)
            {
                writer.WriteString("reason"u8, answer.reason);
            }

            writer.WriteString("status"u8, answer.word);
            writer.WriteEndObject();
        });
}
