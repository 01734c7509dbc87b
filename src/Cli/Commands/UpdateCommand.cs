using System.CommandLine;
using OrleansMemory.Cli.Options;
using OrleansMemory.Cli.Output;
using OrleansMemory.Core;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Cli.Commands;

internal static class UpdateCommand
{
    public static CliCommand Create()
    {
        var id = new Argument<string>("ID") { Description = "Id, or a prefix that only one memory has" };
        var title = OptionKinds.FreeText("New title", "--title", "-T");
        var content = OptionKinds.FreeText("New content", "--content", "-c");
        var tier = OptionKinds.Text("New tier; never goes down", "--tier", "-t");
        var @namespace = OptionKinds.Text("New namespace", "--namespace", "-n");
        var tags = OptionKinds.Text("Comma list; empty for no tags", "--tags");
        var priority = OptionKinds.Number("1 to 10", int.MinValue, int.MaxValue, "--priority", "-p");
        var confidence = OptionKinds.Number("0 to 1", double.NegativeInfinity, double.PositiveInfinity, "--confidence");
        var expiresAt = OptionKinds.Text("RFC 3339; empty for no expiry", "--expires-at");
        var command = new Command("update", "Change a memory") { id, title, content, tier, @namespace, tags, priority, confidence, expiresAt };

        return new(command, async session =>
        {
            var named = MemoryRules.Id(session.Required(id));
            var patch = new MemoryPatch
            {
                Title = session.Value(title),
                Content = session.Value(content),
                Tier = session.Value(tier) is { } name ? TierNames.Parse(name) : null,
                Namespace = session.Value(@namespace),
                Tags = session.Value(tags) is { } list ? OptionKinds.List(list) : null,
                Priority = session.Value(priority),
                Confidence = session.Value(confidence),
                ExpiresAt = session.Value(expiresAt),
            };
            MemoryRules.Check(patch);
            var service = await session.OpenAsync();
            WriteReceipt receipt;
            try
            {
                receipt = await service.UpdateAsync(named, patch, session.Write);
            }
            catch (MemoryException exception) when (exception.Kind == ErrorKind.NotFound)
            {
                return session.NotFound(named);
            }

            if (session.Json)
            {
                session.Report.Json(writer => MemoryJson.WriteDeclared(writer, receipt.Memory));
            }
            else
            {
                session.Text.WriteLine($"updated: {receipt.Memory.Id} [{receipt.Memory.Title}]");
            }

            return 0;
        });
    }
}
