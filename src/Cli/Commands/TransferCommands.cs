using System.CommandLine;
using OrleansMemory.Cli.Options;
using OrleansMemory.Cli.Transfer;

namespace OrleansMemory.Cli.Commands;

internal static class TransferCommands
{
    public static CliCommand Export() => new(new Command("export", "Write every live memory and link as JSON"), async session =>
    {
        var service = await session.OpenAsync();
        await Exporter.WriteAsync(service, session.Report, session.Now);
        return 0;
    });

    public static CliCommand Import()
    {
        var trust = OptionKinds.Flag("Keep the authors that the rows claim", "--trust-source");
        var sample = OptionKinds.Flag("Import the sample set instead of standard input, authors included", "--sample");
        var command = new Command("import", "Read an export from standard input") { trust, sample };
        return new(command, async session =>
        {
            var fromSample = session.Value(sample);
            var trusted = session.Value(trust) || fromSample;
            var service = await session.OpenAsync();
            await using var input = fromSample ? SampleSet.Open() : session.OpenInput();
            var summary = await new Importer(service, session.AgentId, trusted, session.Report).RunAsync(input);
            if (session.Json)
            {
                session.Report.Json(writer =>
                {
                    writer.WriteStartObject();
                    writer.WriteStartArray("errors");
                    foreach (var error in summary.Errors)
                    {
                        writer.WriteStringValue(error);
                    }

                    writer.WriteEndArray();
                    writer.WriteNumber("imported", summary.Imported);
                    writer.WriteNumber("restamped", summary.Restamped);
                    writer.WriteBoolean("trusted_source", trusted);
                    writer.WriteEndObject();
                });
            }
            else
            {
                session.Text.WriteLine($"imported: {summary.Imported} (restamped agent_id on {summary.Restamped})");
                foreach (var error in summary.Errors)
                {
                    session.Error.WriteLine($"  {error}");
                }
            }

            return summary.Errors.Count == 0 ? 0 : 1;
        });
    }
}
