using System.CommandLine;
using OrleansMemory.Cli.Options;
using OrleansMemory.Core;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Cli.Commands;

internal static class ForgetCommand
{
    public static CliCommand Create()
    {
        var @namespace = OptionKinds.Text("Only this namespace", "--namespace", "-n");
        var pattern = OptionKinds.Text("Only memories with one of these words", "--pattern", "-p");
        var tier = OptionKinds.Text("Only this tier", "--tier", "-t");
        var command = new Command("forget", "Archive every memory that matches all given filters") { @namespace, pattern, tier };
        return new(command, async session =>
        {
            var query = new ForgetQuery(
                session.Value(@namespace) is { } name ? MemoryRules.Namespace(name) : null,
                session.Value(pattern),
                session.Value(tier) is { } level ? TierNames.Parse(level) : null);
            if (query is { Namespace: null, Pattern: null, Tier: null })
            {
                session.Error.WriteLine("error: at least one of --namespace, --pattern, --tier is required");
                return 1;
            }

            var service = await session.OpenAsync();
            var forgotten = await service.ForgetAsync(query, session.Write);
            if (session.Json)
            {
                session.Report.Json(writer =>
                {
                    writer.WriteStartObject();
                    writer.WriteNumber("deleted", forgotten);
                    writer.WriteEndObject();
                });
            }
            else
            {
                session.Text.WriteLine($"forgot {forgotten} memories");
            }

            return 0;
        });
    }
}
