using OrleansMemory.Api.Http;
using OrleansMemory.Api.Routes;
using OrleansMemory.Core.Curation;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Api.Mcp;

/// <summary>What is kept, what is put away, and what this node can do.</summary>
internal static class UpkeepTools
{
    public static IEnumerable<ToolDefinition> All { get; } =
    [
        new(
            "memory_forget",
            "Forget memories",
            "Archive every memory that matches all given filters; at least one filter.",
            ToolEffect.Destroys,
            [
                new("namespace", ToolSchema.Text()),
                new("pattern", ToolSchema.Text("Words, of which any must occur.")),
                new("tier", ToolSchema.Tiers()),
                new("dry_run", ToolSchema.Boolean(standard: false, "Count, and change nothing.")),
            ],
            ToolSchema.Object(
                [], ("archived", ToolSchema.Boolean()), ("deleted", ToolSchema.Integer(0)), ("dry_run", ToolSchema.Boolean()), ("would_delete", ToolSchema.Integer(0))),
            ForgetAsync),
        new(
            "memory_stats",
            "Count memories",
            "Counts over the store, expired memories included.",
            ToolEffect.Reads,
            [],
            ToolSchema.Object(
                ["by_namespace", "by_tier", "db_size_bytes", "expiring_soon", "links_count", "total"],
                ("by_namespace", Namespaces()), ("by_tier", ToolSchema.List(ToolSchema.Object(["count", "tier"], ("count", ToolSchema.Integer(0)), ("tier", ToolSchema.Tiers())))),
                ("db_size_bytes", ToolSchema.Integer(0)), ("expiring_soon", ToolSchema.Integer(0)), ("links_count", ToolSchema.Integer(0)), ("total", ToolSchema.Integer(0))),
            static async call => ToolAnswer.Json(await call.Node.StatisticsAsync(call.Cancellation), StatisticsRoutes.Write)),
        new(
            "memory_capabilities",
            "Ask what works",
            "What works on this node now.",
            ToolEffect.Reads,
            [],
            ToolSchema.Object(["features", "models", "tier", "version"], ("features", ToolSchema.AnyObject()), ("models", ToolSchema.AnyObject()), ("tier", ToolSchema.Text()), ("version", ToolSchema.Text())),
            static async call => ToolAnswer.Json(await call.Node.ModelsAsync(call.Cancellation), SessionRoutes.Write))
        { IsCore = true },
        new(
            "memory_archive_list",
            "List the archive",
            "Archived memories, latest first.",
            ToolEffect.Reads,
            [
                new("namespace", ToolSchema.Text()),
                new("limit", ToolSchema.Integer(0, ArchiveQuery.MostRows, ArchiveQuery.DefaultRows)),
                new("offset", ToolSchema.Integer(0, standard: 0)),
            ],
            ToolSchema.Object(
                ["archived", "count"],
                ("archived", ToolSchema.List(ToolSchema.Object(
                    ["archive_reason", "archived_at", "content", "id", "namespace", "tags", "tier", "title"],
                    ("archive_reason", ToolSchema.Text()), ("archived_at", ToolSchema.Text()), ("content", ToolSchema.Text()), ("id", ToolSchema.Text()), ("namespace", ToolSchema.Text()),
                    ("tag_list", ToolSchema.List(ToolSchema.Text())), ("tags", ToolSchema.Text("A JSON list in a text.")), ("tier", ToolSchema.Tiers()), ("title", ToolSchema.Text())))),
                ("count", ToolSchema.Integer(0))),
            static async call => ToolAnswer.Json(
                await call.Node.ArchivedAsync(
                    new(call.Fields.TextOrNull("namespace"), ReadFilters.Limit(call.Fields.Integer("limit"), ArchiveQuery.DefaultRows, ArchiveQuery.MostRows), ReadFilters.Offset(call.Fields.Integer("offset"))),
                    call.Cancellation),
                ArchiveRoutes.WriteAll)),
        new(
            "memory_archive_restore",
            "Restore a memory",
            "Bring an archived memory back, long-lived.",
            ToolEffect.Adds,
            [new("id", ToolSchema.Text("An exact id."), Required: true)],
            ToolSchema.Object(["id", "restored"], ("durability", ToolSchema.Text()), ("id", ToolSchema.Text()), ("quorum_acks", ToolSchema.Integer(1)), ("restored", ToolSchema.Boolean()), ("stamp", ToolSchema.Text())),
            static async call => ToolAnswer.Json(call.Wrote(await call.Node.RestoreAsync(MemoryRules.Id(call.Fields.Text("id")), call.Writes())), ArchiveRoutes.WriteRestored)),
        new(
            "memory_archive_purge",
            "Purge the archive",
            "Delete archived memories for good.",
            ToolEffect.Destroys,
            [new("older_than_days", ToolSchema.Integer(0, about: "Only those archived at least so many days ago; without it all."))],
            ToolSchema.Object(["purged"], ("purged", ToolSchema.Integer(0))),
            static async call => ToolAnswer.Json(await call.Node.PurgeAsync(call.Fields.Integer("older_than_days"), call.Writes()), ArchiveRoutes.WritePurged))
        { IsIdempotent = true },
        new(
            "memory_archive_stats",
            "Count the archive",
            "Archived memories of each namespace, most first.",
            ToolEffect.Reads,
            [],
            ToolSchema.Object(["archived_total", "by_namespace"], ("archived_total", ToolSchema.Integer(0)), ("by_namespace", Namespaces())),
            static async call => ToolAnswer.Json(await call.Node.ArchiveStatisticsAsync(call.Cancellation), ArchiveRoutes.Write)),
        new(
            "memory_gc",
            "Archive what has expired",
            "Archive memories whose time is over.",
            ToolEffect.Destroys,
            [new("dry_run", ToolSchema.Boolean(standard: false, "Count, and change nothing."))],
            ToolSchema.Object(["collected", "dry_run"], ("collected", ToolSchema.Integer(0)), ("dry_run", ToolSchema.Boolean())),
            CollectAsync)
        { IsIdempotent = true },
    ];

    private static async Task<ToolAnswer> ForgetAsync(ToolCall call)
    {
        var dryRun = call.Fields.Boolean("dry_run") ?? false;
        var query = new Core.ForgetQuery(call.Fields.TextOrNull("namespace"), call.Fields.TextOrNull("pattern"), call.Fields.Tier("tier"), dryRun);
        var count = await call.Node.ForgetAsync(query, call.Writes());
        return ToolAnswer.Object(writer =>
        {
            if (dryRun)
            {
                writer.WriteBoolean("dry_run"u8, true);
                writer.WriteNumber("would_delete"u8, count);
            }
            else
            {
                writer.WriteBoolean("archived"u8, true);
                writer.WriteNumber("deleted"u8, count);
            }
        });
    }

    private static async Task<ToolAnswer> CollectAsync(ToolCall call)
    {
        var dryRun = call.Fields.Boolean("dry_run") ?? false;
        var collected = await call.Node.CollectGarbageAsync(dryRun);
        return ToolAnswer.Object(writer =>
        {
            writer.WriteNumber("collected"u8, collected);
            writer.WriteBoolean("dry_run"u8, dryRun);
        });
    }

    private static System.Text.Json.Nodes.JsonObject Namespaces() =>
        ToolSchema.List(ToolSchema.Object(["count", "namespace"], ("count", ToolSchema.Integer(0)), ("namespace", ToolSchema.Text())));
}
