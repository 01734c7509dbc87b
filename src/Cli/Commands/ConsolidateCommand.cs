using System.CommandLine;
using OrleansMemory.Cli.Options;
using OrleansMemory.Core.Curation;

namespace OrleansMemory.Cli.Commands;

internal static class ConsolidateCommand
{
    public static CliCommand Create()
    {
        var ids = new Argument<string>("IDS") { Description = $"Full ids, a comma list of {ConsolidationDraft.FewestMemories} to {ConsolidationDraft.MostMemories}" };
        var title = OptionKinds.FreeText("Title of the new memory", "--title", "-T");
        title.Required = true;
        var summary = OptionKinds.FreeText("Content of the new memory", "--summary", "-s");
        summary.Required = true;
        var @namespace = OptionKinds.Text("Namespace of the new memory [default: the git remote's or the folder's name]", "--namespace", "-n");
        var command = new Command("consolidate", "Make one memory of several, which are archived; curator --rollback undoes it") { ids, title, summary, @namespace };
        return new(command, async session =>
        {
            var draft = new ConsolidationDraft(
                OptionKinds.List(session.Required(ids)), session.Required(title), session.Required(summary),
                session.Value(@namespace) ?? session.Configuration.DefaultNamespace ?? DefaultNamespace.Resolve(Environment.CurrentDirectory), Source: "cli").Check();
            var service = await session.OpenAsync();
            var done = await service.ConsolidateAsync(draft, session.Write);
            if (session.Json)
            {
                session.Report.Object(writer =>
                {
                    writer.WriteNumber("consolidated", done.Count);
                    writer.WriteString("curation_id", done.CurationId);
                    writer.WriteString("id", done.Receipt.Memory.Id);
                });
            }
            else
            {
                session.Text.WriteLine($"consolidated {done.Count} memories into: {done.Receipt.Memory.Id}");
            }

            return 0;
        });
    }
}
