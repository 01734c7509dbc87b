using Microsoft.Extensions.Logging;
using OrleansMemory.Core.Backfills;

namespace OrleansMemory.Api.Hosting;

/// <summary>Each kind of what a runner tells as an event of its own.</summary>
internal sealed partial class BackfillLog(ILogger<BackfillLog> logger)
{
    public void Write(BackfillEvent told)
    {
        switch (told.Kind)
        {
            case BackfillEventKind.Started:
                LogStarted(told.Step, told.Version, told.Reason);
                break;
            case BackfillEventKind.Resumed:
                LogResumed(told.Step, told.Version, told.Reason, told.Rows);
                break;
            case BackfillEventKind.AlreadyComplete:
                LogAlreadyComplete(told.Step, told.Version, told.Reason);
                break;
            case BackfillEventKind.Completed:
                LogCompleted(told.Step, told.Version, told.Reason, told.Rows);
                break;
            case BackfillEventKind.Repairing:
                LogRepairing(told.Step, told.Version, told.Reason);
                break;
            case BackfillEventKind.Failed:
                LogFailed(told.Exception, told.Step, told.Version, told.Reason);
                break;
            case BackfillEventKind.LeaseLost:
                LogLeaseLost(told.Step, told.Version, told.Reason);
                break;
            case BackfillEventKind.Quarantined:
                LogQuarantined(told.Step, told.Version, told.Reason, told.Rows);
                break;
            case BackfillEventKind.Paused:
                LogPaused(told.Step, told.Version, told.Reason);
                break;
            case BackfillEventKind.NewerVersion:
                LogNewerVersion(told.Step, told.Version, told.Reason);
                break;
            case BackfillEventKind.MarkerChanged:
                LogMarkerChanged(told.Step, told.Version, told.Reason);
                break;
            default:
                throw new ArgumentOutOfRangeException(nameof(told), told.Kind, "not a kind");
        }
    }

    [LoggerMessage(2201, LogLevel.Information, "Backfill {Step} v{Version} started: {Reason}")]
    private partial void LogStarted(string step, int version, string reason);

    [LoggerMessage(2202, LogLevel.Information, "Backfill {Step} v{Version} {Reason}, {Rows} rows done")]
    private partial void LogResumed(string step, int version, string reason, long rows);

    [LoggerMessage(2203, LogLevel.Information, "Backfill {Step} v{Version} skipped: {Reason}")]
    private partial void LogAlreadyComplete(string step, int version, string reason);

    [LoggerMessage(2204, LogLevel.Information, "Backfill {Step} v{Version} complete: {Reason}, {Rows} in all")]
    private partial void LogCompleted(string step, int version, string reason, long rows);

    [LoggerMessage(2205, LogLevel.Information, "Backfill {Step} v{Version} repairs: {Reason}")]
    private partial void LogRepairing(string step, int version, string reason);

    [LoggerMessage(2206, LogLevel.Error, "Backfill {Step} v{Version} failed and is tried again: {Reason}")]
    private partial void LogFailed(Exception? exception, string step, int version, string reason);

    [LoggerMessage(2207, LogLevel.Warning, "Backfill {Step} v{Version} lost its lease: {Reason}")]
    private partial void LogLeaseLost(string step, int version, string reason);

    [LoggerMessage(2208, LogLevel.Warning, "Backfill {Step} v{Version} put {Rows} rows into quarantine: {Reason}")]
    private partial void LogQuarantined(string step, int version, string reason, long rows);

    [LoggerMessage(2209, LogLevel.Information, "Backfill {Step} v{Version} is {Reason}")]
    private partial void LogPaused(string step, int version, string reason);

    [LoggerMessage(2210, LogLevel.Warning, "Backfill {Step} v{Version} skipped: {Reason}")]
    private partial void LogNewerVersion(string step, int version, string reason);

    [LoggerMessage(2211, LogLevel.Information, "Backfill {Step} v{Version} begins anew: {Reason}")]
    private partial void LogMarkerChanged(string step, int version, string reason);
}
