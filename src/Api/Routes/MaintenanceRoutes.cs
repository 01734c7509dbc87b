using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using OrleansMemory.Api.Http;
using OrleansMemory.Api.OpenApi;

namespace OrleansMemory.Api.Routes;

internal sealed class MaintenanceRoutes(CallerServices callers)
{
    public static void Map(IEndpointRouteBuilder endpoints)
    {
        var routes = ActivatorUtilities.CreateInstance<MaintenanceRoutes>(endpoints.ServiceProvider);
        endpoints.MapWrite("POST", "/api/v1/gc", routes.CollectAsync, new("collectGarbage", "Maintenance", "Archive what has expired")
        {
            Query = [SharedFields.DryRun],
            Answers = [new(200, "Collected", "How many."), SharedFields.BadRequest, SharedFields.Unavailable],
        });
    }

    private async Task CollectAsync(HttpContext context)
    {
        var dryRun = new QueryText(context).Flag("dry_run");
        var expired = await callers.Of(context).CollectGarbageAsync(dryRun);
        await JsonAnswer.WriteAsync(context, StatusCodes.Status200OK, (expired, dryRun), static (writer, answer) =>
        {
            writer.WriteStartObject();
            if (answer.dryRun)
            {
                writer.WriteBoolean("dry_run"u8, true);
            }

            writer.WriteNumber("expired_deleted"u8, answer.dryRun ? 0 : answer.expired);
            if (answer.dryRun)
            {
                writer.WriteNumber("would_delete"u8, answer.expired);
            }

            writer.WriteEndObject();
        });
    }
}
