using System.Globalization;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Cli;

/// <summary>Who the caller claims to be.</summary>
internal static class Identity
{
    /// <summary>
    /// The name that was given, or one made from this process, which differs in each run. With <c>OM_ANONYMIZE</c> on, it does not
    /// reveal the host.
    /// </summary>
    /// <param name="anonymize">What the configuration says, which the variable overrules.</param>
    public static string Resolve(string? given, bool anonymize)
    {
        if (given is not null)
        {
            return MemoryRules.AgentId(given);
        }

        var tail = string.Create(CultureInfo.InvariantCulture, $"pid-{Environment.ProcessId}-{Guid.NewGuid().ToString("N")[..8]}");
        var host = (Variables.Read("ANONYMIZE") is null ? anonymize && !Variables.IsEmpty("ANONYMIZE") : Variables.IsOn("ANONYMIZE")) ? "" : HostName();
        return host.Length == 0 ? $"anonymous:{tail}" : $"host:{host}:{tail}";
    }

    /// <summary><c>@</c>, the host and the process, behind the name of a program; without the host where that is not revealed.</summary>
    public static string OfProcess()
    {
        var process = string.Create(CultureInfo.InvariantCulture, $"pid-{Environment.ProcessId}");
        return Variables.IsOn("ANONYMIZE") ? $":{process}" : $"@{HostName()}:{process}";
    }

    private static string HostName()
    {
        var name = Environment.MachineName;
        var clean = string.Concat(name.Select(character => char.IsAsciiLetterOrDigit(character) || character is '-' or '_' or '.' ? character : '-'));
        return clean.Length <= 64 ? clean : clean[..64];
    }
}
