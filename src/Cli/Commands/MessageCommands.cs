using System.CommandLine;
using OrleansMemory.Api.Routes;
using OrleansMemory.Cli.Options;
using OrleansMemory.Cli.Output;
using OrleansMemory.Core.Governance;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Messaging;

namespace OrleansMemory.Cli.Commands;

/// <summary>What agents say to each other.</summary>
internal static class MessageCommands
{
    public static CliCommand Notify()
    {
        var to = new Argument<string>("AGENT") { Description = "Whom" };
        var subject = OptionKinds.FreeText("What it is about", "--subject", "-s");
        subject.Required = true;
        var body = OptionKinds.FreeText("The message", "--body", "-b");
        body.Required = true;
        var priority = OptionKinds.Number($"1 to 10 [default: {MessageDraft.StandardPriority}]", MemoryLimits.MinPriority, MemoryLimits.MaxPriority, "--priority", "-p");
        var tier = OptionKinds.Text("How long it is kept: short, mid or long [default: mid]", "--tier", "-t");
        return new(new Command("notify", "Send a message to an agent") { to, subject, body, priority, tier }, async session =>
        {
            var draft = new MessageDraft(
                session.Required(to), session.Required(subject), session.Required(body), session.Value(priority) ?? MessageDraft.StandardPriority,
                session.Value(tier) is { } name ? TierNames.Parse(name) : Tier.Mid).Check();
            var service = await session.OpenAsync();
            var message = await service.NotifyAsync(draft, session.Write);
            if (session.Json)
            {
                session.Report.Object(writer =>
                {
                    writer.WriteString("delivered_at", message.CreatedAt.ToString());
                    writer.WriteString("from", message.From);
                    writer.WriteString("id", message.Id);
                    writer.WriteString("namespace", $"{ReservedNamespaces.Messages}/{message.To}");
                    writer.WriteString("tier", message.Tier.Name());
                    writer.WriteString("to", message.To);
                });
            }
            else
            {
                session.Text.WriteLine($"sent: {message.Id} to {message.To}");
            }

            return 0;
        });
    }

    public static CliCommand Inbox()
    {
        var unread = OptionKinds.Flag("Only what is not marked as read", "--unread-only");
        var read = OptionKinds.Flag("Mark what is shown as read", "--mark-read");
        var limit = OptionKinds.Number($"Messages at most [default: {InboxQuery.DefaultRows}]", 0, InboxQuery.MostRows, "--limit");
        return new(new Command("inbox", "Show the messages to the agent that --agent-id names, the most urgent first") { unread, read, limit }, async session =>
        {
            var service = await session.OpenAsync();
            var inbox = await service.InboxAsync(new(session.AgentId, session.Value(unread), session.Value(limit) ?? InboxQuery.DefaultRows), session.Write);
            if (session.Value(read) && inbox.Messages.Count > 0)
            {
                await service.ReadMessagesAsync(inbox.AgentId, [.. inbox.Messages.Select(static message => message.Id)], take: false, session.Write);
            }

            if (session.Json)
            {
                session.Report.Object(writer =>
                {
                    writer.WriteString("agent_id", inbox.AgentId);
                    writer.WriteNumber("count", inbox.Messages.Count);
                    writer.WriteStartArray("messages");
                    foreach (var message in inbox.Messages)
                    {
                        MessageRoutes.Write(writer, message);
                    }

                    writer.WriteEndArray();
                    writer.WriteString("namespace", $"{ReservedNamespaces.Messages}/{inbox.AgentId}");
                    writer.WriteNumber("unread", inbox.Unread);
                    writer.WriteBoolean("unread_only", session.Value(unread));
                });
                return 0;
            }

            foreach (var message in inbox.Messages)
            {
                session.Text.WriteLine($"[{Rows.Short(message.Id)}]{(message.ReadAt is null ? "*" : " ")} {message.Subject} (from={message.From}, p={message.Priority}, {Rows.Age(message.CreatedAt, session.Now)})");
                session.Text.WriteLine($"  {message.Text.ReplaceLineEndings("\n  ")}");
            }

            if (inbox.Messages.Count == 0)
            {
                session.Error.WriteLine($"no messages for: {inbox.AgentId}");
            }

            return 0;
        });
    }
}
