using System.CommandLine;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.Json;
using OrleansMemory.Api.Configuration;
using OrleansMemory.Cli.Options;
using OrleansMemory.Core;
using OrleansMemory.Core.Curation;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Cli.Commands;

/// <summary>Tidies the memories once, or again and again, and undoes what that did.</summary>
internal static class CuratorCommand
{
    private const long DefaultSeconds = 3_600;

    /// <summary>The last changes, among which one is looked for that may be undone already.</summary>
    private const int ListedChanges = 1_000;

    public static CliCommand Create()
    {
        var once = OptionKinds.Flag("Run once", "--once");
        var daemon = OptionKinds.Flag("Run again and again until a signal", "--daemon");
        var interval = OptionKinds.Number($"Seconds between two runs, {CuratorOptions.ShortestSeconds} to {CuratorOptions.LongestSeconds} [default: {DefaultSeconds}]", 0L, long.MaxValue, "--interval-secs");
        var most = OptionKinds.Number($"Changes at most in a run [default: {CuratorOrder.DefaultOperations}]", 0, int.MaxValue, "--max-ops");
        var dryRun = OptionKinds.Flag("Tell what would be done, change nothing", "--dry-run");
        var include = OptionKinds.Texts("Only this namespace; may be given again", "--include-namespace");
        var exclude = OptionKinds.Texts("Not this namespace; may be given again", "--exclude-namespace");
        var rollback = OptionKinds.Text("Undo one change, or a run, by its full id", "--rollback");
        var rollbackLast = OptionKinds.Number("Undo so many of the last changes that are not undone", 1, int.MaxValue, "--rollback-last");
        var command = new Command("curator", "Tidy memories: put away what has expired or is contradicted, tell near duplicates as one, move priorities with use")
        {
            once, daemon, interval, most, dryRun, include, exclude, rollback, rollbackLast,
        };
        return new(command, async session =>
        {
            var undoes = session.Value(rollback) is not null || session.Value(rollbackLast) is not null;
            if (Convert.ToInt32(session.Value(once)) + Convert.ToInt32(session.Value(daemon)) + Convert.ToInt32(session.Value(rollback) is not null) + Convert.ToInt32(session.Value(rollbackLast) is not null) > 1)
            {
                throw new UsageException(command, "the arguments '--once', '--daemon', '--rollback' and '--rollback-last' cannot be used with each other");
            }

            if (undoes)
            {
                return await UndoAsync(session, session.Value(rollback), session.Value(rollbackLast));
            }

            if (!session.Value(once) && !session.Value(daemon))
            {
                session.Error.WriteLine("error: one of --once, --daemon, --rollback and --rollback-last is required");
                return 1;
            }

            var order = new CuratorOrder(session.Value(most) ?? CuratorOrder.DefaultOperations, session.Value(dryRun), Names(session.Value(include)), Names(session.Value(exclude))).Check();
            if (session.Value(once))
            {
                var service = await session.OpenAsync();
                Show(session, await service.CurateAsync(order, session.Write));
                return 0;
            }

            await RepeatAsync(session, order, TimeSpan.FromSeconds(Math.Clamp(session.Value(interval) ?? DefaultSeconds, CuratorOptions.ShortestSeconds, CuratorOptions.LongestSeconds)));
            return 0;
        });
    }

    private static string[]? Names(string[]? given) => given is { Length: > 0 } ? [.. given.SelectMany(OptionKinds.List)] : null;

    /// <summary>The database is open only for the run. What fails is told, and the next run comes.</summary>
    private static async Task RepeatAsync(Session session, CuratorOrder order, TimeSpan pause)
    {
        using var stop = new CancellationTokenSource();
        using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, OnSignal);
        using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, OnSignal);
        while (!stop.IsCancellationRequested)
        {
            try
            {
                await using var opened = await session.OpenNewAsync();
                Show(session, await opened.Service.CurateAsync(order, session.Write));
                session.Report.Flush();
            }
            catch (MemoryException exception)
            {
                session.Error.WriteLine(exception.Message);
            }

            try
            {
                await Task.Delay(pause, stop.Token);
            }
            catch (OperationCanceledException)
            {
                return;
            }
        }

        void OnSignal(PosixSignalContext context)
        {
            context.Cancel = !stop.IsCancellationRequested;
            stop.Cancel();
        }
    }

    private static async Task<int> UndoAsync(Session session, string? id, int? last)
    {
        var service = await session.OpenAsync();
        if (last is not null)
        {
            var undone = await service.UndoRunsAsync(runId: null, last, session.Write);
            foreach (var error in undone.Errors)
            {
                session.Error.WriteLine($"  {error}");
            }

            if (session.Json)
            {
                session.Report.Object(writer => writer.WriteNumber("reversed", undone.Reversed));
            }
            else
            {
                session.Text.WriteLine($"reversed {undone.Reversed} rollback entries");
            }

            return undone.Errors.Count == 0 ? 0 : 1;
        }

        var applied = await UndoAsync(service, MemoryRules.Id(id!), session.Write);
        if (session.Json)
        {
            session.Report.Object(writer =>
            {
                writer.WriteBoolean("applied", applied);
                writer.WriteString("id", id);
            });
        }
        else
        {
            session.Text.WriteLine($"rollback {id}: {(applied ? "applied" : "no-op")}");
        }

        return 0;
    }

    /// <summary>One change, else all of the run of that id.</summary>
    /// <returns>False: it is undone already.</returns>
    private static async Task<bool> UndoAsync(IDomainService service, string id, WriteContext context)
    {
        if ((await service.CurationsAsync(ListedChanges)).FirstOrDefault(change => change.Id == id) is { UndoneAt: not null })
        {
            return false;
        }

        try
        {
            return (await service.UndoAsync(id, context)).UndoneAt is not null;
        }
        catch (MemoryException exception) when (exception.Kind == ErrorKind.NotFound)
        {
            if ((await service.UndoRunsAsync(id, last: null, context)).Reversed > 0)
            {
                return true;
            }

            throw;
        }
    }

    private static void Show(Session session, CuratorReport report)
    {
        var milliseconds = (report.CompletedAt.Nanoseconds - report.StartedAt.Nanoseconds) / 1_000_000;
        if (session.Json)
        {
            session.Report.Object(
                writer =>
                {
                    writer.WriteString("started_at", report.StartedAt.ToString());
                    writer.WriteString("completed_at", report.CompletedAt.ToString());
                    writer.WriteNumber("cycle_duration_ms", milliseconds);
                    writer.WriteNumber("memories_scanned", report.Scanned);
                    writer.WriteNumber("memories_eligible", report.Eligible);
                    writer.WriteNumber("auto_tagged", 0);
                    writer.WriteNumber("contradictions_found", 0);
                    writer.WriteNumber("operations_attempted", report.Attempted);
                    writer.WriteNumber("operations_skipped_cap", report.SkippedByCap);
                    writer.WriteStartObject("autonomy");
                    writer.WriteNumber("clusters_formed", report.Clusters);
                    writer.WriteNumber("memories_consolidated", report.Consolidated);
                    writer.WriteNumber("memories_forgotten", report.Forgotten);
                    writer.WriteNumber("priority_adjustments", report.PrioritiesAdjusted);
                    writer.WriteNumber("rollback_entries_written", report.UndoRecords);
                    WriteErrors(writer, report.Errors);
                    writer.WriteEndObject();
                    WriteErrors(writer, report.Errors);
                    writer.WriteBoolean("dry_run", report.DryRun);
                    writer.WriteNumber("expired", report.Expired);
                    if (report.RunId is { } run)
                    {
                        writer.WriteString("run_id", run);
                    }
                },
                indented: true);
            return;
        }

        (string Name, object Value)[] lines =
        [
            ("started_at", report.StartedAt), ("completed_at", report.CompletedAt), ("duration_ms", milliseconds), ("memories_scanned", report.Scanned), ("memories_eligible", report.Eligible),
            ("operations", report.Attempted), ("auto_tagged", 0), ("contradictions", 0), ("skipped (cap)", report.SkippedByCap), ("expired", report.Expired), ("consolidated", report.Consolidated),
            ("forgotten", report.Forgotten), ("priorities adjusted", report.PrioritiesAdjusted), ("errors", report.Errors.Count), ("dry_run", report.DryRun ? "true" : "false"),
        ];
        session.Text.WriteLine("curator cycle report");
        foreach (var (name, value) in lines)
        {
            session.Text.WriteLine(string.Create(CultureInfo.InvariantCulture, $"  {name}: {value}"));
        }

        foreach (var error in report.Errors)
        {
            session.Text.WriteLine($"    - {error}");
        }
    }

    private static void WriteErrors(Utf8JsonWriter writer, IReadOnlyList<string> errors)
    {
        writer.WriteStartArray("errors");
        foreach (var error in errors)
        {
            writer.WriteStringValue(error);
        }

        writer.WriteEndArray();
    }
}
