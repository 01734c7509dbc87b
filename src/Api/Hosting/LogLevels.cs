using Microsoft.Extensions.Logging;

namespace OrleansMemory.Api.Hosting;

/// <summary>Levels in the words of <c>RUST_LOG</c>.</summary>
internal static class LogLevels
{
    /// <summary>The most talkative of a comma list of <c>level</c> and <c>part=level</c>; without any that is known, info.</summary>
    public static LogLevel Of(string filter)
    {
        LogLevel? level = null;
        foreach (var directive in filter.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            LogLevel? named = directive[(directive.LastIndexOf('=') + 1)..].ToUpperInvariant() switch
            {
                "TRACE" => LogLevel.Trace,
                "DEBUG" => LogLevel.Debug,
                "INFO" => LogLevel.Information,
                "WARN" => LogLevel.Warning,
                "ERROR" => LogLevel.Error,
                "OFF" => LogLevel.None,
                _ => null,
            };
            level = named is null || level < named ? level : named;
        }

        return level ?? LogLevel.Information;
    }
}
