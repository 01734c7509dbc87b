using Microsoft.Extensions.Logging;

namespace OrleansMemory.Api.Http;

internal sealed partial class ApiGate
{
    [LoggerMessage(1001, LogLevel.Error, "Request {RequestId} to {Route} failed unexpectedly")]
    private partial void LogUnexpected(Exception exception, string requestId, string route);
}
