using System.CommandLine;
using OrleansMemory.Cli.Options;
using OrleansMemory.Cli.Output;
using OrleansMemory.Core;
using OrleansMemory.Core.Curation;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Cli.Commands;

internal static class PromoteCommand
{
    public static CliCommand Create()
    {
        var id = new Argument<string>("ID") { Description = "Id, or a prefix that only one memory has" };
        var target = OptionKinds.Text("Copy it into this ancestor of its namespace instead", "--to-namespace");
        var command = new Command("promote", "Make a memory long-lived, or copy it up its namespace tree") { id, target };
        return new(command, async session =>
        {
            var named = MemoryRules.Id(session.Required(id));
            var ancestor = session.Value(target) is { } given ? MemoryRules.Namespace(given) : null;
            var service = await session.OpenAsync();
            try
            {
                return ancestor is null ? await PromoteAsync(session, service, named) : await CopyUpAsync(session, service, named, ancestor);
            }
            catch (MemoryException exception) when (exception.Kind == ErrorKind.NotFound)
            {
                return session.NotFound(named);
            }
        });
    }

    private static async Task<int> PromoteAsync(Session session, IMemoryService service, string id)
    {
        var receipt = await service.PromoteAsync(id, session.Write);
        if (session.Json)
        {
            session.Report.Json(writer =>
            {
                writer.WriteStartObject();
                writer.WriteString("id", receipt.Memory.Id);
                writer.WriteBoolean("promoted", true);
                writer.WriteString("tier", Tier.Long.Name());
                writer.WriteEndObject();
            });
        }
        else
        {
            session.Text.WriteLine($"promoted to long-term: {receipt.Memory.Id}");
        }

        return 0;
    }

    private static async Task<int> CopyUpAsync(Session session, IMemoryService service, string id, string ancestor)
    {
        var (source, copy) = await service.CopyUpAsync(id, ancestor, session.Write);
        if (session.Json)
        {
            session.Report.Json(writer =>
            {
                writer.WriteStartObject();
                writer.WriteString("clone_id", copy.Memory.Id);
                writer.WriteString("mode", "vertical");
                writer.WriteBoolean("promoted", true);
                writer.WriteString("source_id", source.Id);
                writer.WriteString("to_namespace", ancestor);
                writer.WriteEndObject();
            });
        }
        else
        {
            session.Text.WriteLine($"promoted (vertical): {Rows.Short(source.Id)} → {ancestor} (clone: {Rows.Short(copy.Memory.Id)})");
        }

        return 0;
    }
}
