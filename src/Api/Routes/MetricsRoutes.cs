using System.Text;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using OrleansMemory.Api.Metrics;
using OrleansMemory.Api.OpenApi;
using OrleansMemory.Core;

namespace OrleansMemory.Api.Routes;

internal sealed class MetricsRoutes(IMemoryService service, ApiInstruments instruments, PrometheusExporter exporter)
{
    public static void Map(IEndpointRouteBuilder endpoints)
    {
        var routes = ActivatorUtilities.CreateInstance<MetricsRoutes>(endpoints.ServiceProvider);
        Answer[] answers = [new(200, "MetricsText", "Prometheus text format 0.0.4.", "text/plain")];
        endpoints.MapRead("/metrics", routes.MetricsAsync, new("metrics", "Metrics", "Metrics of the node") { Answers = answers });
        endpoints.MapRead("/api/v1/metrics", routes.MetricsAsync, new("metricsV1", "Metrics", "The same as /metrics") { Answers = answers });
    }

    private async Task MetricsAsync(HttpContext context)
    {
        instruments.SetMemories((await service.StatisticsAsync(context.RequestAborted)).Total);
        if (service is INodeService node)
        {
            instruments.SetCluster(await node.ClusterAsync(context.RequestAborted), (await node.DeadLettersAsync(0, context.RequestAborted)).Count);
        }

        var text = Encoding.UTF8.GetBytes(exporter.Write());
        context.Response.ContentType = PrometheusExporter.ContentType;
        context.Response.ContentLength = text.Length;
        await context.Response.BodyWriter.WriteAsync(text, context.RequestAborted);
    }
}
