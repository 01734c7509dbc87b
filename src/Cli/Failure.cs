using System.Net.Sockets;
using System.Text.Json;
using OrleansMemory.Api.Configuration;
using OrleansMemory.Core.Memories;
using OrleansMemory.Gate;

namespace OrleansMemory.Cli;

/// <summary>Errors as people and scripts see them: <c>Error: message</c>, then the chain of causes.</summary>
internal static class Failure
{
    /// <returns>The exit status.</returns>
    public static int Write(TextWriter error, Exception exception)
    {
        error.WriteLine($"Error: {Describe(exception)}");
        var causes = new List<string>();
        for (var inner = exception.InnerException; inner is not null; inner = inner.InnerException)
        {
            causes.Add(Describe(inner));
        }

        if (causes.Count > 0)
        {
            error.WriteLine();
            error.WriteLine("Caused by:");
            for (var index = 0; index < causes.Count; index++)
            {
                error.WriteLine(causes.Count == 1 ? $"    {causes[index]}" : $"    {index}: {causes[index]}");
            }
        }

        return exception is MemoryException memory ? memory.Kind.ExitCode : 1;
    }

    /// <summary>A message alone is enough for failures that are about the request or the machine; others name their type.</summary>
    private static string Describe(Exception exception) =>
        exception is MemoryException or InvalidOptionException or GateException or IOException or UnauthorizedAccessException or HttpRequestException or SocketException or OperationCanceledException or JsonException
            ? exception.Message
            : $"{exception.GetType().Name}: {exception.Message}";
}
