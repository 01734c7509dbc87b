using Microsoft.Extensions.Logging;

namespace OrleansMemory.Api.Hosting;

internal sealed partial class GarbageCollection
{
    [LoggerMessage(2101, LogLevel.Information, "Collected {Count} expired memories")]
    private partial void LogCollected(long count);

    [LoggerMessage(2103, LogLevel.Information, "Purged {Count} memories from the archive")]
    private partial void LogPurged(long count);

    [LoggerMessage(2102, LogLevel.Error, "A sweep for expired memories failed")]
    private partial void LogFailed(Exception exception);
}
