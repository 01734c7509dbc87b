using System.Globalization;
using System.Text;
using System.Text.Json;
using OrleansMemory.Core.Backfills;

namespace OrleansMemory.Cli.Output;

/// <summary>A backfill on one line, with what is known of it.</summary>
internal static class BackfillLine
{
    public static string Of(JsonElement row)
    {
        var line = new StringBuilder();
        line.Append(CultureInfo.InvariantCulture, $"{row.GetProperty("step").GetString()} v{row.GetProperty("version").GetInt32()}: {row.GetProperty("state").GetString()}");
        line.Append(CultureInfo.InvariantCulture, $", {row.GetProperty("percent").GetDouble():0.0} %, {row.GetProperty("rows_done").GetInt64()} of {row.GetProperty("rows_total").GetInt64()} rows");
        if (row.GetProperty("rows_per_second").GetDouble() is > 0 and var rate)
        {
            line.Append(CultureInfo.InvariantCulture, $", {rate:0} rows/s");
        }

        Append(", ETA {0} s", "eta_seconds");
        if (row.GetProperty("quarantined").GetInt64() is > 0 and var aside)
        {
            line.Append(CultureInfo.InvariantCulture, $", {aside} in quarantine");
        }

        Append(", owner {0}", "owner");
        Append(", tried again at {0}", "next_attempt_at");
        Append(", last error: {0}", "last_error");
        return line.ToString();

        void Append(string form, string field)
        {
            if (row.TryGetProperty(field, out var value))
            {
                line.AppendFormat(CultureInfo.InvariantCulture, form, value.ToString());
            }
        }
    }

    /// <summary>For a terminal while a node works: percent, rate and what is left of the time.</summary>
    public static string Of(BackfillStatus status) => string.Create(
        CultureInfo.InvariantCulture,
        $"backfill {status.Record.Step} v{status.Record.Version} {status.Percent:0.0} % {status.RowsPerSecond:0} rows/s{(status.Eta is { } eta ? $" ETA {eta.TotalSeconds:0} s" : "")}");
}
