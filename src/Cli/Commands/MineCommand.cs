using System.CommandLine;
using System.Text;
using OrleansMemory.Cli.Mining;
using OrleansMemory.Cli.Options;
using OrleansMemory.Cli.Output;
using OrleansMemory.Cli.Transfer;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Cli.Commands;

/// <summary>Makes memories of the conversations that other programs export.</summary>
internal static class MineCommand
{
    private const int DefaultMessages = 3;

    public static CliCommand Create()
    {
        var path = new Argument<string>("PATH") { Description = "claude and chatgpt: the file with the conversations; slack: the folder of the export" };
        var format = OptionKinds.Text(string.Join(", ", ExportFormats.Names), "--format", "-f");
        format.Required = true;
        var @namespace = OptionKinds.Text("Namespace of the memories [default: <format>-export]", "--namespace", "-n");
        var tier = OptionKinds.Text("short, mid or long [default: mid]", "--tier", "-t");
        var least = OptionKinds.Number($"Messages that a conversation needs [default: {DefaultMessages}]", 0, int.MaxValue, "--min-messages");
        var dryRun = OptionKinds.Flag("Show what would be imported, write nothing", "--dry-run");
        var command = new Command("mine", "Import the conversations of a Claude, ChatGPT or Slack export, all of them or none") { path, format, @namespace, tier, least, dryRun };
        return new(command, async session =>
        {
            var name = session.Required(format)!;
            var kind = ExportFormats.Find(name) ?? throw new MemoryException(ErrorKind.MalformedRequest, $"invalid format: {name} (use {string.Join(", ", ExportFormats.Names)})");
            var place = MemoryRules.Namespace(session.Value(@namespace) ?? $"{kind.Name()}-export");
            var level = session.Value(tier) is { } given ? TierNames.Parse(given) : Tier.Mid;
            var memories = new ConversationMemories(kind, place, level, session.Configuration.Lifetimes.ExpiryOf(level, session.Now), session.AgentId, session.Now);

            // The whole export is read before anything is written: what cannot be read to its end imports nothing.
            await using var rows = new HeldRows("memories");
            using var progress = new ProgressLine(session.Report, "reading");
            var preview = new List<Preview>();
            var (total, filtered) = (0L, 0L);
            await foreach (var conversation in kind.ReadAsync(session.Required(path)))
            {
                total++;
                progress.Show(total, 0);
                if (conversation.Turns.Count < Math.Max(session.Value(least) ?? DefaultMessages, 1))
                {
                    filtered++;
                    continue;
                }

                foreach (var memory in memories.Of(conversation))
                {
                    MemoryRules.Check(memory);
                    rows.Add(memory);
                    if (session.Value(dryRun))
                    {
                        preview.Add(new(memory.Title, Encoding.UTF8.GetByteCount(memory.Content), conversation.Turns.Count));
                    }
                }
            }

            progress.End();
            if (session.Value(dryRun))
            {
                Show(session, kind, place, level, total, filtered, preview);
                return 0;
            }

            var service = await session.OpenCollectedAsync();
            var summary = await new Importer(service, session.AgentId, trustSource: true, session.Report).SendAsync(rows, links: null);
            foreach (var error in summary.Errors)
            {
                session.Error.WriteLine($"  {error}");
            }

            if (session.Json)
            {
                session.Report.Object(writer =>
                {
                    writer.WriteNumber("errors", summary.Errors.Count);
                    writer.WriteNumber("imported", summary.Imported);
                    writer.WriteString("namespace", place);
                    writer.WriteNumber("skipped", filtered);
                    writer.WriteString("tier", level.Name());
                    writer.WriteNumber("total_conversations", total);
                });
            }
            else
            {
                session.Text.WriteLine($"Imported {summary.Imported} memories from {total} conversations (skipped: {filtered}, errors: {summary.Errors.Count})");
                session.Text.WriteLine($"Namespace: {place}, Tier: {level.Name()}");
            }

            return summary.Errors.Count == 0 ? 0 : 1;
        });
    }

    private static void Show(Session session, ExportFormat format, string @namespace, Tier tier, long total, long filtered, List<Preview> memories)
    {
        if (!session.Json)
        {
            session.Text.WriteLine("dry run — would import:");
            foreach (var memory in memories)
            {
                session.Text.WriteLine($"  {memory.Title} ({memory.Messages} messages, {memory.Bytes} bytes)");
            }

            session.Text.WriteLine($"{memories.Count} memories from {total} conversations (skipped: {filtered})");
            session.Text.WriteLine($"Namespace: {@namespace}, Tier: {tier.Name()}");
            return;
        }

        session.Report.Object(
            writer =>
            {
                writer.WriteBoolean("dry_run", true);
                writer.WriteNumber("filtered", filtered);
                writer.WriteStartArray("memories");
                foreach (var memory in memories)
                {
                    writer.WriteStartObject();
                    writer.WriteNumber("content_length", memory.Bytes);
                    writer.WriteNumber("messages", memory.Messages);
                    writer.WriteString("source", format.Source());
                    writer.WriteString("title", memory.Title);
                    writer.WriteEndObject();
                }

                writer.WriteEndArray();
                writer.WriteString("namespace", @namespace);
                writer.WriteString("tier", tier.Name());
                writer.WriteNumber("total_conversations", total);
                writer.WriteNumber("would_import", memories.Count);
            },
            indented: true);
    }

    private sealed record Preview(string Title, int Bytes, int Messages);
}
