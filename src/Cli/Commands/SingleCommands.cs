using System.CommandLine;
using OrleansMemory.Cli.Output;
using OrleansMemory.Core;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Cli.Commands;

/// <summary>Commands that take one id and nothing else.</summary>
internal static class SingleCommands
{
    public static CliCommand Get()
    {
        var id = IdArgument();
        var command = new Command("get", "Show a memory and its links") { id };
        return new(command, async session =>
        {
            var named = MemoryRules.Id(session.Required(id));
            var service = await session.OpenAsync();
            MemoryWithLinks found;
            try
            {
                found = await service.GetAsync(named);
            }
            catch (MemoryException exception) when (exception.Kind == ErrorKind.NotFound)
            {
                return session.NotFound(named);
            }

            if (session.Json)
            {
                session.Report.Json(writer =>
                {
                    writer.WriteStartObject();
                    writer.WriteStartArray("links");
                    foreach (var link in found.Links)
                    {
                        MemoryJson.WriteLink(writer, link);
                    }

                    writer.WriteEndArray();
                    writer.WritePropertyName("memory");
                    MemoryJson.WriteSorted(writer, found.Memory);
                    writer.WriteEndObject();
                });
                return 0;
            }

            session.Report.Json(writer => MemoryJson.WriteDeclared(writer, found.Memory), indented: true);
            if (found.Links.Count > 0)
            {
                session.Text.WriteLine();
                session.Text.WriteLine("links:");
                foreach (var link in found.Links)
                {
                    session.Text.WriteLine($"  {link.SourceId} --[{link.Relation}]--> {link.TargetId}");
                }
            }

            return 0;
        });
    }

    public static CliCommand Delete()
    {
        var id = IdArgument();
        var command = new Command("delete", "Delete a memory for good") { id };
        return new(command, async session =>
        {
            var named = MemoryRules.Id(session.Required(id));
            var service = await session.OpenAsync();
            WriteReceipt receipt;
            try
            {
                receipt = await service.DeleteAsync(named, session.Write);
            }
            catch (MemoryException exception) when (exception.Kind == ErrorKind.NotFound)
            {
                return session.NotFound(named);
            }

            if (session.Json)
            {
                session.Report.Json(writer =>
                {
                    writer.WriteStartObject();
                    writer.WriteBoolean("deleted", true);
                    writer.WriteString("id", receipt.Memory.Id);
                    writer.WriteEndObject();
                });
            }
            else
            {
                session.Text.WriteLine($"deleted: {receipt.Memory.Id}");
            }

            return 0;
        });
    }

    private static Argument<string> IdArgument() => new("ID") { Description = "Id, or a prefix that only one memory has" };
}
