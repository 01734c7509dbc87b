using System.CommandLine;
using OrleansMemory.Api.Routes;
using OrleansMemory.Cli.Options;
using OrleansMemory.Cli.Output;
using OrleansMemory.Core.Curation;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Cli.Commands;

/// <summary>What was forgotten or has expired, and the ways back and out.</summary>
internal static class ArchiveCommands
{
    public static CliCommand Create() =>
        CliCommand.Group("archive", "List, restore, purge or count archived memories", [List(), Restore(), Purge(), Stats()]);

    private static CliCommand List()
    {
        var @namespace = OptionKinds.Text("Only this namespace", "--namespace", "-n");
        var limit = OptionKinds.Number($"Rows at most [default: {ArchiveQuery.DefaultRows}]", 0, int.MaxValue, "--limit");
        var offset = OptionKinds.Number("Rows to pass over [default: 0]", 0L, long.MaxValue, "--offset");
        return new(new Command("list", "List archived memories, latest first") { @namespace, limit, offset }, async session =>
        {
            var query = new ArchiveQuery(
                session.Value(@namespace) is { } name ? MemoryRules.Namespace(name) : null, session.Value(limit) ?? ArchiveQuery.DefaultRows, session.Value(offset) ?? 0);
            var service = await session.OpenAsync();
            var archived = await service.ArchivedAsync(query);
            if (session.Json)
            {
                session.Report.Object(writer =>
                {
                    writer.WriteStartArray("archived");
                    foreach (var row in archived)
                    {
                        Api.Json.MemoryJson.Write(writer, row);
                    }

                    writer.WriteEndArray();
                    writer.WriteNumber("count", archived.Count);
                });
            }
            else if (archived.Count == 0)
            {
                session.Text.WriteLine("no archived memories");
            }
            else
            {
                foreach (var row in archived)
                {
                    session.Text.WriteLine($"[{Rows.Short(row.Memory.Id)}] {row.Memory.Title} (archived: {row.ArchivedAt})");
                }

                session.Text.WriteLine($"{archived.Count} archived memories");
            }

            return 0;
        });
    }

    private static CliCommand Restore()
    {
        var id = new Argument<string>("ID") { Description = "Full id of the archived memory" };
        return new(new Command("restore", "Bring an archived memory back, long-lived") { id }, async session =>
        {
            var named = MemoryRules.Id(session.Required(id));
            var service = await session.OpenAsync();
            try
            {
                await service.RestoreAsync(named, session.Write);
            }
            catch (MemoryException exception) when (exception.Kind == ErrorKind.NotFound)
            {
                session.Error.WriteLine($"not found in archive: {named}");
                return 1;
            }

            if (session.Json)
            {
                session.Report.Object(writer =>
                {
                    writer.WriteString("id", named);
                    writer.WriteBoolean("restored", true);
                });
            }
            else
            {
                session.Text.WriteLine($"restored: {Rows.Short(named)}");
            }

            return 0;
        });
    }

    private static CliCommand Purge()
    {
        var age = OptionKinds.Number("Only what was archived at least so many days ago; without it everything", long.MinValue, long.MaxValue, "--older-than-days");
        return new(new Command("purge", "Delete archived memories for good") { age }, async session =>
        {
            if (session.Value(age) is < 0)
            {
                throw new MemoryException(ErrorKind.InvalidLimit, "older_than_days must not be negative");
            }

            var service = await session.OpenAsync();
            var purged = await service.PurgeAsync(session.Value(age), session.Write);
            if (session.Json)
            {
                session.Report.Object(writer => writer.WriteNumber("purged", purged));
            }
            else
            {
                session.Text.WriteLine($"purged {purged} archived memories");
            }

            return 0;
        });
    }

    private static CliCommand Stats() => new(new Command("stats", "Count archived memories"), async session =>
    {
        var service = await session.OpenAsync();
        var statistics = await service.ArchiveStatisticsAsync();
        if (session.Json)
        {
            session.Report.Object(writer =>
            {
                writer.WriteNumber("archived_total", statistics.Total);
                writer.WritePropertyName("by_namespace");
                StatisticsRoutes.WriteNamespaces(writer, statistics.ByNamespace);
            });
        }
        else
        {
            session.Text.WriteLine($"archived: {statistics.Total} total");
            foreach (var row in statistics.ByNamespace)
            {
                session.Text.WriteLine($"  {row.Namespace}: {row.Count}");
            }
        }

        return 0;
    });
}
