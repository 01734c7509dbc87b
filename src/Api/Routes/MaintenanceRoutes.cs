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
            Answers = [new(200, "Collected", "How many."), SharedFields.Unavailable],
        });
    }

    private async Task CollectAsync(HttpContext context)
    {
        var expired = await callers.Of(context).CollectGarbageAsync();
        await JsonAnswer.WriteAsync(context, StatusCodes.Status200OK, expired, static (writer, expired) =>
        {
            writer.WriteStartObject();
            writer.WriteNumber("expired_deleted"u8, expired);
            writer.WriteEndObject();
        });
    }
}
