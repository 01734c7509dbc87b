using System.Globalization;

namespace OrleansMemory.Cli.Cluster;

/// <summary>Lines to copy for a first store, a recall and a backup.</summary>
internal static class Introduction
{
    /// <param name="imported">Sample memories that were loaded; null when there was data before.</param>
    /// <param name="storeUrl">Stores go here.</param>
    /// <param name="recallUrl">Recalls go here.</param>
    /// <param name="database">Of a node.</param>
    public static void Write(TextWriter text, string folder, long? imported, string storeUrl, string recallUrl, string database, bool withKey)
    {
        var sample = imported is { } count ? string.Create(CultureInfo.InvariantCulture, $", {count} sample memories loaded") : "";
        var key = withKey ? " -H \"X-API-Key: $OM_API_KEY\"" : "";
        var (through, another) = storeUrl == recallUrl ? ("", "") : (" through one node", " through another");
        text.WriteLine(
            $$"""
            data in {{folder}}{{sample}}

            Store a memory{{through}}:
              curl -s {{storeUrl}}/api/v1/memories{{key}} -H 'Content-Type: application/json' -d '{"title":"Release day","content":"We release on Tuesdays at 10:00 UTC.","namespace":"demo"}'
              om store --url {{storeUrl}} -n demo -T "Release day" -c "We release on Tuesdays at 10:00 UTC."

            Recall it{{another}}:
              curl -s{{key}} '{{recallUrl}}/api/v1/recall?context=when+do+we+release'
              om recall --url {{recallUrl}} "when do we release"

            Take a snapshot while it runs, every hour for example:
              om backup --db '{{database}}' --to {{Path.Combine(folder, "backups")}}

            """);
    }
}
