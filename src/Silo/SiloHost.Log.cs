using Microsoft.Extensions.Logging;

namespace OrleansMemory.Silo;

public sealed partial class SiloHost
{
    [LoggerMessage(4001, LogLevel.Information, "The silo {Silo} has joined the cluster {Cluster}")]
    private partial void LogJoined(string silo, string cluster);

    [LoggerMessage(4002, LogLevel.Error, "The silo cannot join the cluster {Cluster}; it tries again")]
    private partial void LogNotJoined(Exception exception, string cluster);

    [LoggerMessage(4003, LogLevel.Warning, "The silo did not leave the cluster in order; the others notice by themselves")]
    private partial void LogLeaveFailed(Exception exception);
}
