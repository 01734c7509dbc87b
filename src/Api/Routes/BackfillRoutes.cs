using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using OrleansMemory.Api.Http;
using OrleansMemory.Api.Json;
using OrleansMemory.Api.OpenApi;
using OrleansMemory.Core.Backfills;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Api.Routes;

/// <summary>The backfills of the node's own store.</summary>
internal sealed class BackfillRoutes(CallerServices callers)
{
    private const string Path = "/api/v1/backfills";

    public static void Map(IEndpointRouteBuilder endpoints)
    {
        var routes = ActivatorUtilities.CreateInstance<BackfillRoutes>(endpoints.ServiceProvider);
        endpoints.MapRead(Path, routes.ListAsync, new("backfills", "Maintenance", "How far each backfill of this node is, and the rows that could not be converted")
        {
            Answers = [new(200, "Backfills", "All steps."), SharedFields.NotFound],
        });
        endpoints.MapWrite("POST", Path, routes.ActAsync, new("actOnBackfill", "Maintenance", "Pause, resume or retry a backfill, or count the rows that it would take")
        {
            Body = "BackfillAction",
            Answers =
            [
                new(200, "Backfills", "All steps as they are now; of a dry run the counts."), SharedFields.BadRequest, SharedFields.NotFound, SharedFields.TooLarge,
                SharedFields.MediaType, SharedFields.WrongShape, SharedFields.Unavailable,
            ],
        });
    }

    private BackfillRunner RunnerOf(HttpContext context) => callers.NodeOf(context).Backfills ?? throw new MemoryException(ErrorKind.NotFound, "a front end has no store and so no backfills: ask a node");

    private async Task ListAsync(HttpContext context)
    {
        var runner = RunnerOf(context);
        var overview = await runner.ReadAsync(context.RequestAborted);
        var cluster = runner.Cluster is { } read ? await read(context.RequestAborted) : null;
        await JsonAnswer.WriteAsync(
            context,
            StatusCodes.Status200OK,
            (overview, cluster, (await callers.NodeOf(context).ClusterAsync(context.RequestAborted)).Nodes),
            static (writer, told) => BackfillJson.Write(writer, told.overview, told.cluster, told.Nodes));
    }

    private async Task ActAsync(HttpContext context)
    {
        var body = await RequestBody.ReadAsync(context, BodyFields.Read);
        var (action, step) = (body.Text("action"), body.TextOrNull("step"));
        if (action == BackfillActions.DryRun)
        {
            var counted = await RunnerOf(context).DryRunAsync(step, context.RequestAborted);
            await JsonAnswer.WriteAsync(context, StatusCodes.Status200OK, counted, BackfillJson.Write);
            return;
        }

        await RunnerOf(context).ActAsync(action, step ?? throw JsonFields.Missing("step"));
        await ListAsync(context);
    }
}
