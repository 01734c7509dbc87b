using Microsoft.Extensions.Logging;

namespace OrleansMemory.Api.Hosting;

internal sealed partial class CuratorLoop
{
    [LoggerMessage(2020, LogLevel.Information, "Curator: {Consolidated} memories told as one, {Forgotten} archived, {Adjusted} priorities moved; {Skipped} changes left, {Errors} refused")]
    private partial void LogDone(long consolidated, long forgotten, long adjusted, long skipped, int errors);

    [LoggerMessage(2021, LogLevel.Debug, "Another run of the curator is under way, here or on another node")]
    private partial void LogElsewhere();

    [LoggerMessage(2022, LogLevel.Error, "A run of the curator failed; what it changed stays, the next run goes on")]
    private partial void LogFailed(Exception exception);
}
