using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Logging;
using OrleansMemory.Api.Http;
using OrleansMemory.Api.Mcp;
using OrleansMemory.Api.Metrics;
using OrleansMemory.Api.OpenApi;
using OrleansMemory.Api.Routes;
using OrleansMemory.Core;

namespace OrleansMemory.Api;

/// <summary>Puts the HTTP surface into a web application; both hosts call it.</summary>
public static class MemoryApi
{
    /// <summary>Needs logging; takes the clock that is registered, else the system's.</summary>
    public static IServiceCollection AddMemoryApi(this IServiceCollection services, ApiOptions options, IMemoryService service)
    {
        services.AddRoutingCore();
        services.AddMemoryApiDocument();
        services.TryAddSingleton(TimeProvider.System);
        services.AddSingleton(options);
        services.AddSingleton(service);
        services.AddSingleton<CallerServices>();
        services.AddSingleton<SimilarTitles>();
        services.AddSingleton<ServingState>();
        services.AddSingleton<ApiInstruments>();
        services.AddSingleton(_ => new PrometheusExporter(Instruments.MeterName));
        return services;
    }

    /// <summary>Everything under <c>/api/v1</c>, <c>/mcp</c>, the health and metrics routes and <c>/openapi/v1.json</c>.</summary>
    public static void UseMemoryApi(this WebApplication application)
    {
        var services = application.Services;

        // Made now, so that what happens before the first scrape is counted.
        services.GetRequiredService<PrometheusExporter>();
        var options = services.GetRequiredService<ApiOptions>();
        var keys = new ApiKeys(options.ApiKey, options.Keys, options.TakesCertificates);
        application.UseRouting();
        application.Use(next => new ApiGate(
            next,
            keys,
            services.GetRequiredService<CallerServices>(),
            services.GetRequiredService<ServingState>(),
            services.GetRequiredService<IMemoryService>() as INodeService,
            services.GetRequiredService<ApiInstruments>(),
            services.GetRequiredService<TimeProvider>(),
            services.GetRequiredService<ILogger<ApiGate>>()).InvokeAsync);
        HealthRoutes.Map(application);
        MetricsRoutes.Map(application);
        MemoryRoutes.Map(application);
        BulkRoutes.Map(application);
        SearchRoutes.Map(application);
        RecallRoutes.Map(application);
        ForgetRoutes.Map(application);
        LinkRoutes.Map(application);
        StatisticsRoutes.Map(application);
        MaintenanceRoutes.Map(application);
        TransferRoutes.Map(application);
        if (services.GetRequiredService<IMemoryService>() is INodeService)
        {
            ClusterRoutes.Map(application);
            BackfillRoutes.Map(application);
            PolicyRoutes.Map(application);
            SyncRoutes.Map(application);
            ArchiveRoutes.Map(application);
            AgentRoutes.Map(application);
            StandardRoutes.Map(application);
            PendingRoutes.Map(application);
            MessageRoutes.Map(application);
            CurationRoutes.Map(application);
            SubscriptionRoutes.Map(application);
            CuratorRoutes.Map(application);
            GrantRoutes.Map(application);
            ContradictionRoutes.Map(application);
            SessionRoutes.Map(application);
            McpEndpoint.Map(application);
            ModelRoutes.Map(application);
        }

        application.MapOpenApi("/openapi/{documentName}.json");
    }
}
