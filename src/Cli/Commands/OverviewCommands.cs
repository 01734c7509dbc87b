using System.CommandLine;
using OrleansMemory.Core;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Cli.Commands;

/// <summary>Commands about the store as a whole.</summary>
internal static class OverviewCommands
{
    public static CliCommand Stats() => new(new Command("stats", "Count memories, links and bytes"), async session =>
    {
        var service = await session.OpenAsync();
        var statistics = await service.StatisticsAsync();
        if (session.Json)
        {
            WriteJson(session, statistics);
            return 0;
        }

        session.Text.WriteLine($"total memories: {statistics.Total}");
        session.Text.WriteLine($"expiring within 1h: {statistics.ExpiringSoon}");
        session.Text.WriteLine($"links: {statistics.LinksCount}");
        session.Text.WriteLine($"database size: {statistics.DatabaseSizeBytes} bytes");
        session.Text.WriteLine("by tier:");
        foreach (var row in statistics.ByTier)
        {
            session.Text.WriteLine($"  {row.Tier.Name()}: {row.Count}");
        }

        session.Text.WriteLine("by namespace:");
        foreach (var row in statistics.ByNamespace)
        {
            session.Text.WriteLine($"  {row.Namespace}: {row.Count}");
        }

        return 0;
    });

    public static CliCommand Namespaces() => new(new Command("namespaces", "List namespaces, most memories first"), async session =>
    {
        var service = await session.OpenAsync();
        var namespaces = await service.NamespacesAsync();
        if (session.Json)
        {
            session.Report.Json(writer =>
            {
                writer.WriteStartObject();
                writer.WriteStartArray("namespaces");
                foreach (var row in namespaces)
                {
                    writer.WriteStartObject();
                    writer.WriteNumber("count", row.Count);
                    writer.WriteString("namespace", row.Namespace);
                    writer.WriteEndObject();
                }

                writer.WriteEndArray();
                writer.WriteEndObject();
            });
        }
        else if (namespaces.Count == 0)
        {
            session.Error.WriteLine("no namespaces");
        }
        else
        {
            foreach (var row in namespaces)
            {
                session.Text.WriteLine($"  {row.Namespace}: {row.Count} memories");
            }
        }

        return 0;
    });

    public static CliCommand Gc() => new(new Command("gc", "Archive what has expired"), async session =>
    {
        var service = await session.OpenAsync();
        var expired = await service.CollectGarbageAsync();
        if (session.Json)
        {
            session.Report.Json(writer =>
            {
                writer.WriteStartObject();
                writer.WriteNumber("expired_deleted", expired);
                writer.WriteEndObject();
            });
        }
        else
        {
            session.Text.WriteLine($"expired memories deleted: {expired}");
        }

        return 0;
    });

    private static void WriteJson(Session session, StoreStatistics statistics) => session.Report.Json(writer =>
    {
        writer.WriteStartObject();
        writer.WriteNumber("total", statistics.Total);
        writer.WriteStartArray("by_tier");
        foreach (var row in statistics.ByTier)
        {
            writer.WriteStartObject();
            writer.WriteString("tier", row.Tier.Name());
            writer.WriteNumber("count", row.Count);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        writer.WriteStartArray("by_namespace");
        foreach (var row in statistics.ByNamespace)
        {
            writer.WriteStartObject();
            writer.WriteString("namespace", row.Namespace);
            writer.WriteNumber("count", row.Count);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        writer.WriteNumber("expiring_soon", statistics.ExpiringSoon);
        writer.WriteNumber("links_count", statistics.LinksCount);
        writer.WriteNumber("db_size_bytes", statistics.DatabaseSizeBytes);
        writer.WriteEndObject();
    });
}
