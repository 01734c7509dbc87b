using System.CommandLine;
using OrleansMemory.Cli.Options;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Cli.Commands;

internal static class LinkCommand
{
    public static CliCommand Create()
    {
        var source = new Argument<string>("SOURCE_ID") { Description = "Full id of the memory the link starts at" };
        var target = new Argument<string>("TARGET_ID") { Description = "Full id of the memory it points to" };
        var relation = OptionKinds.Text($"Kind of link [default: {ClosedSets.DefaultRelation}]", "--relation", "-r");
        var command = new Command("link", "Link two memories") { source, target, relation };
        return new(command, async session =>
        {
            var from = MemoryRules.Id(session.Required(source));
            var to = MemoryRules.Id(session.Required(target));
            var kind = MemoryRules.Relation(session.Value(relation) ?? ClosedSets.DefaultRelation);
            var service = await session.OpenAsync();
            await service.LinkAsync(from, to, kind, session.Write);
            if (session.Json)
            {
                session.Report.Json(writer =>
                {
                    writer.WriteStartObject();
                    writer.WriteBoolean("linked", true);
                    writer.WriteEndObject();
                });
            }
            else
            {
                session.Text.WriteLine($"linked: {from} --[{kind}]--> {to}");
            }

            return 0;
        });
    }
}
