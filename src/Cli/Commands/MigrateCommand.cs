using System.CommandLine;
using System.Globalization;
using OrleansMemory.Cli.Options;
using OrleansMemory.Cli.Output;
using OrleansMemory.Core;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Replication;
using OrleansMemory.Storage;
using OrleansMemory.Storage.Migration;

namespace OrleansMemory.Cli.Commands;

/// <summary>From one store to another, and from a database of the peer system.</summary>
internal static class MigrateCommand
{
    public static CliCommand Create()
    {
        var from = OptionKinds.Text("Source: sqlite:///path, an ai-memory 0.6.0 database among them, or postgres://host/name", "--from");
        from.Required = true;
        var to = OptionKinds.Text("Target: sqlite:///path or postgres://host/name; created when it is missing", "--to");
        to.Required = true;
        var batch = OptionKinds.Number("Rows that are read and written at once [default: 1000]", 1, 10_000, "--batch");
        var @namespace = OptionKinds.Text("Only this namespace", "--namespace", "-n");
        var dryRun = OptionKinds.Flag("Read and compare, write nothing", "--dry-run");
        return new(new Command("migrate", "Bring all rows of one store into another; again and again if need be") { from, to, batch, @namespace, dryRun }, async session =>
        {
            var (source, target) = (Location(session.Required(from)!), Location(session.Required(to)!));
            if (source.ToString() == target.ToString())
            {
                throw new MemoryException(ErrorKind.MalformedRequest, $"--from and --to are both {source}");
            }

            RequireThere(source, "--from");
            if (session.Value(dryRun))
            {
                RequireThere(target, "--to with --dry-run");
            }

            var options = new MigrationOptions(session.Value(batch) ?? 1_000, session.Value(@namespace) is { } only ? MemoryRules.Namespace(only) : null, session.Value(dryRun));
            await using var targetStore = await target.OpenAsync();
            await using var node = await MemoryNode.StartAsync(targetStore, session.Configuration.ToNodeSettings() with { ReplicaSet = ReplicaSetSettings.Single }, TimeProvider.System, new Random());
            MigrationReport report;
            if (source.Path is { } path && AiMemoryRows.IsOne(path))
            {
                await using var rows = AiMemoryRows.Open(path, targetStore.Log.Node);
                report = await RunAsync(session, rows, node, options);
            }
            else
            {
                await using var sourceStore = await source.OpenAsync();
                await using var rows = new StoreRows(sourceStore);
                report = await RunAsync(session, rows, node, options);
            }

            if (session.Json)
            {
                WriteJson(session, report);
            }
            else
            {
                WriteText(session, report);
            }

            return report.Errors.Count == 0 ? 0 : 1;
        });
    }

    private static StoreLocation Location(string url) =>
        StoreLocation.IsUrl(url)
            ? StoreLocation.Parse(url)
            : throw new MemoryException(ErrorKind.MalformedRequest, "unrecognised store URL: use sqlite:///path, sqlite://./path or postgres://host/name");

    private static void RequireThere(StoreLocation location, string option)
    {
        if (location.Path is { } path && !File.Exists(path))
        {
            throw new MemoryException(ErrorKind.NotFound, $"there is no database {path} ({option})");
        }
    }

    private static async Task<MigrationReport> RunAsync(Session session, IRowSource source, MemoryNode node, MigrationOptions options)
    {
        var migration = new StoreMigration(source, node, options, TimeProvider.System);
        if (!session.Report.ShowsProgress)
        {
            return await migration.RunAsync();
        }

        using var line = new ProgressLine(session.Report, "");
        return await migration.RunAsync(progress => line.Show(progress.Rows, Math.Max(progress.Total, 1), progress.Phase));
    }

    private static void WriteJson(Session session, MigrationReport report) => session.Report.Json(
        writer =>
        {
            writer.WriteStartObject();
            writer.WriteNumber("batches", report.Batches);
            writer.WriteStartObject("counts");
            foreach (var (kind, count) in report.Counts)
            {
                writer.WriteStartObject(kind);
                writer.WriteNumber("missing", count.Missing);
                writer.WriteNumber("source", count.Source);
                writer.WriteNumber("target", count.Target);
                writer.WriteEndObject();
            }

            writer.WriteEndObject();
            writer.WriteBoolean("dry_run", report.DryRun);
            writer.WriteNumber("elapsed_ms", (long)report.Elapsed.TotalMilliseconds);
            writer.WriteStartArray("errors");
            foreach (var error in report.Errors)
            {
                writer.WriteStringValue(error);
            }

            writer.WriteEndArray();
            writer.WriteString("from_url", report.From);
            writer.WriteStartObject("left_behind");
            foreach (var (what, count) in report.LeftBehind)
            {
                writer.WriteNumber(what, count);
            }

            writer.WriteEndObject();
            writer.WriteNumber("memories_read", report.MemoriesRead);
            writer.WriteNumber("memories_written", report.MemoriesWritten);
            writer.WriteNumber("rows_per_second", RowsPerSecond(report));
            writer.WriteNumber("rows_read", report.RowsRead);
            writer.WriteNumber("rows_written", report.RowsWritten);
            writer.WriteString("source_digest", report.SourceDigest.ToString());
            writer.WriteString("target_digest", report.TargetDigest.ToString());
            writer.WriteString("to_url", report.To);
            writer.WriteEndObject();
        },
        indented: true);

    private static void WriteText(Session session, MigrationReport report)
    {
        var text = session.Text;
        text.WriteLine("migration report");
        text.WriteLine($"  from_url: {report.From}");
        text.WriteLine($"  to_url: {report.To}");
        text.WriteLine($"  memories_read: {report.MemoriesRead}");
        text.WriteLine($"  memories_written: {report.MemoriesWritten}");
        text.WriteLine($"  batches: {report.Batches}");
        text.WriteLine($"  dry_run: {(report.DryRun ? "true" : "false")}");
        text.WriteLine($"  rows_read: {report.RowsRead}");
        text.WriteLine($"  rows_written: {report.RowsWritten}");
        text.WriteLine(string.Create(CultureInfo.InvariantCulture, $"  elapsed: {report.Elapsed.TotalSeconds:F1} s, {RowsPerSecond(report)} rows/s"));
        text.WriteLine($"  source_digest: {report.SourceDigest}");
        text.WriteLine($"  target_digest: {report.TargetDigest}");
        foreach (var (kind, count) in report.Counts)
        {
            text.WriteLine($"  {kind}: {count.Source} in the source, {count.Target} in the target{(count.Missing > 0 ? $", {count.Missing} missing or older there" : "")}");
        }

        foreach (var (what, count) in report.LeftBehind.Where(static pair => pair.Value > 0))
        {
            text.WriteLine($"  left behind: {count} {what}");
        }

        foreach (var error in report.Errors)
        {
            text.WriteLine($"  error: {error}");
        }
    }

    private static long RowsPerSecond(MigrationReport report) => (long)(report.RowsRead / Math.Max(report.Elapsed.TotalSeconds, 0.001));
}
