using Microsoft.Extensions.Logging;

namespace OrleansMemory.Grains;

public sealed partial class NamespaceGrain
{
    [LoggerMessage(3001, LogLevel.Information, "Decides for the namespace {Namespace} in epoch {Epoch:x}; it heard enough replicas: {IsComplete}")]
    private partial void LogActivated(string @namespace, long epoch, bool isComplete);

    [LoggerMessage(3003, LogLevel.Warning, "The node {Node} cannot write; {Next} decides for the namespace {Namespace} from here on")]
    private partial void LogMoved(string @namespace, string node, string next);

    [LoggerMessage(3002, LogLevel.Warning, "Another activation decides for the namespace {Namespace}; epoch {Epoch:x} is over")]
    private partial void LogFenced(string @namespace, long epoch);
}
