using System.Text.Json;
using OrleansMemory.Core.Backfills;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Api.Json;

/// <summary>What is told of backfills, over HTTP and on the command line.</summary>
public static class BackfillJson
{
    /// <param name="cluster">What the nodes of a cluster reported; null where there is no such record, or it cannot be read now.</param>
    /// <param name="nodes">How many there are.</param>
    public static void Write(Utf8JsonWriter writer, BackfillOverview overview, IReadOnlyList<BackfillReport>? cluster = null, int nodes = 1)
    {
        writer.WriteStartObject();
        writer.WriteStartArray("backfills"u8);
        foreach (var status in overview.Steps)
        {
            Write(writer, status);
        }

        writer.WriteEndArray();
        if (cluster is not null)
        {
            writer.WriteStartArray("cluster"u8);
            foreach (var step in cluster.GroupBy(static report => report.Step).OrderBy(static step => step.Key, StringComparer.Ordinal))
            {
                Write(writer, step.Key, [.. step], nodes);
            }

            writer.WriteEndArray();
        }

        writer.WriteStartArray("quarantine"u8);
        foreach (var row in overview.Quarantined)
        {
            writer.WriteStartObject();
            writer.WriteString("at"u8, row.At.ToString());
            writer.WriteString("error"u8, row.Error);
            writer.WriteString("key"u8, row.Key);
            writer.WriteString("step"u8, row.Step);
            writer.WriteNumber("version"u8, row.Version);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        writer.WriteEndObject();
    }

    public static void Write(Utf8JsonWriter writer, IReadOnlyList<BackfillDryRun> counted)
    {
        writer.WriteStartObject();
        writer.WriteStartArray("dry_run"u8);
        foreach (var step in counted)
        {
            writer.WriteStartObject();
            writer.WriteNumber("remaining"u8, step.Remaining);
            writer.WriteString("step"u8, step.Step);
            writer.WriteNumber("version"u8, step.Version);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        writer.WriteEndObject();
    }

    /// <summary>A version is complete in the cluster when every node says so.</summary>
    private static void Write(Utf8JsonWriter writer, string step, IReadOnlyList<BackfillReport> reports, int nodes)
    {
        var version = reports.Max(static report => report.Version);
        writer.WriteStartObject();
        writer.WriteBoolean("complete"u8, reports.Count(report => report.IsComplete && report.Version == version) == nodes);
        writer.WriteStartArray("nodes"u8);
        foreach (var report in reports)
        {
            writer.WriteStartObject();
            writer.WriteString("at"u8, report.At.ToString());
            writer.WriteBoolean("complete"u8, report.IsComplete);
            writer.WriteString("node"u8, report.Node);
            writer.WriteNumber("version"u8, report.Version);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        writer.WriteString("step"u8, step);
        writer.WriteNumber("version"u8, version);
        writer.WriteEndObject();
    }

    private static void Write(Utf8JsonWriter writer, BackfillStatus status)
    {
        var record = status.Record;
        writer.WriteStartObject();
        writer.WriteNumber("attempts"u8, record.Attempts);
        Write(writer, "completed_at"u8, record.CompletedAt);
        if (status.Eta is { } eta)
        {
            writer.WriteNumber("eta_seconds"u8, (long)eta.TotalSeconds);
        }

        Write(writer, "last_error"u8, record.LastError);
        writer.WriteNumber("lease_epoch"u8, record.LeaseEpoch);
        Write(writer, "next_attempt_at"u8, record.NextAttemptAt);
        Write(writer, "owner"u8, record.LeaseOwner);
        writer.WriteNumber("percent"u8, Math.Round(status.Percent, 1));
        writer.WriteNumber("quarantined"u8, record.Quarantined);
        writer.WriteNumber("rows_done"u8, record.RowsDone);
        writer.WriteNumber("rows_per_second"u8, Math.Round(status.RowsPerSecond));
        writer.WriteNumber("rows_total"u8, record.RowsTotal);
        Write(writer, "started_at"u8, record.StartedAt);
        writer.WriteString("state"u8, record.State.Name());
        writer.WriteString("step"u8, record.Step);
        writer.WriteNumber("version"u8, record.Version);
        writer.WriteEndObject();
    }

    private static void Write(Utf8JsonWriter writer, ReadOnlySpan<byte> name, string? text)
    {
        if (text is not null)
        {
            writer.WriteString(name, text);
        }
    }

    private static void Write(Utf8JsonWriter writer, ReadOnlySpan<byte> name, Timestamp? instant) => Write(writer, name, instant?.ToString());
}
