using Microsoft.Extensions.Logging;

namespace OrleansMemory.Silo;

/// <summary>
/// Ends the process when the silo cannot go on, above all when the others have declared it dead: whoever started it starts it again,
/// and it joins as a new member. The store needs no farewell.
/// </summary>
internal sealed partial class ProcessEnd(ILogger<ProcessEnd> logger) : IFatalErrorHandler
{
    /// <summary>EX_TEMPFAIL: try again.</summary>
    public const int ExitCode = 75;

    public bool IsUnexpected(Exception exception) => true;

    public void OnFatalException(object? sender = null, string? context = null, Exception? exception = null)
    {
        LogFatal(exception, context);
        Console.Error.WriteLine($"Error: the silo cannot go on: {context} {exception?.Message}");
        Environment.Exit(ExitCode);
    }

    [LoggerMessage(4004, LogLevel.Critical, "The silo cannot go on: {Context}")]
    private partial void LogFatal(Exception? exception, string? context);
}
