using System.Runtime.InteropServices;
using Microsoft.Extensions.Logging;

namespace OrleansMemory.Api.Hosting;

public sealed partial class NodeHost
{
    [LoggerMessage(2001, LogLevel.Information, "Listening on {Address}")]
    private partial void LogListening(Uri address);

    [LoggerMessage(2002, LogLevel.Warning, "Exposed: {Warning}")]
    private partial void LogExposed(string warning);

    [LoggerMessage(2003, LogLevel.Information, "Received {Signal}")]
    private partial void LogSignal(PosixSignal signal);

    [LoggerMessage(2004, LogLevel.Information, "Draining {InFlight} requests")]
    private partial void LogDraining(long inFlight);

    [LoggerMessage(2005, LogLevel.Warning, "The shutdown grace is over with {InFlight} requests in flight")]
    private partial void LogGraceOver(long inFlight);

    [LoggerMessage(2006, LogLevel.Critical, "The store failed; the node must stop")]
    private partial void LogFatal(Exception exception);

    [LoggerMessage(2007, LogLevel.Warning, "The shutdown grace is over before every peer holds what this node wrote; it goes on when the node is back")]
    private partial void LogUnflushed();

    [LoggerMessage(2008, LogLevel.Information, "A connection did not close cleanly")]
    private partial void LogCloseFailed(Exception exception);

    [LoggerMessage(2009, LogLevel.Warning, "Vectors stay in memory, and not in the database: {Why}")]
    private partial void LogVectorsInMemory(string why);
}
