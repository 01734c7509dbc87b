using System.CommandLine;
using System.Text;
using OrleansMemory.Cli.Options;
using OrleansMemory.Cli.Output;
using OrleansMemory.Cli.Remote;
using OrleansMemory.Core;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Cli.Commands;

internal static class StoreCommand
{
    /// <summary>Content above this is refused before it is read to its end; the rule of the domain is far below.</summary>
    private const int StandardInputCharacters = 16 * 1024 * 1024;

    public static CliCommand Create()
    {
        var title = OptionKinds.FreeText("Title, unique in its namespace", "--title", "-T");
        title.Required = true;
        var content = OptionKinds.FreeText("Content; - reads standard input", "--content", "-c");
        content.Required = true;
        var tier = OptionKinds.Text("short, mid or long [default: mid]", "--tier", "-t");
        var @namespace = OptionKinds.Text("Namespace [default: the git remote's or the folder's name]", "--namespace", "-n");
        var tags = OptionKinds.Text("Comma list", "--tags");
        var priority = OptionKinds.Number("1 to 10 [default: 5]", int.MinValue, int.MaxValue, "--priority", "-p");
        var confidence = OptionKinds.Number("0 to 1 [default: 1.0]", double.NegativeInfinity, double.PositiveInfinity, "--confidence");
        var source = OptionKinds.Text("Where it comes from [default: cli]", "--source", "-S");
        var expiresAt = OptionKinds.Text("Instant of expiry, RFC 3339, in the future", "--expires-at");
        var ttl = OptionKinds.Number("Seconds to live, 1 to 31536000", long.MinValue, long.MaxValue, "--ttl-secs");
        var scope = OptionKinds.Text("private, team, unit, org or collective", "--scope");
        var command = new Command("store", "Store a memory") { title, content, tier, @namespace, tags, priority, confidence, source, expiresAt, ttl, scope };

        return new(command, async session =>
        {
            var text = session.Required(content);
            var draft = new MemoryDraft
            {
                Title = session.Required(title)!,
                Content = text == "-" ? await ReadAsync(session.OpenInput()) : text!,
                Tier = session.Value(tier) is { } name ? TierNames.Parse(name) : Tier.Mid,
                Namespace = session.Value(@namespace) ?? session.Configuration.DefaultNamespace ?? DefaultNamespace.Resolve(Environment.CurrentDirectory),
                Tags = OptionKinds.List(session.Value(tags) ?? ""),
                Priority = session.Value(priority) ?? 5,
                Confidence = session.Value(confidence) ?? 1.0,
                Source = session.Value(source) ?? "cli",
                ExpiresAt = session.Value(expiresAt),
                TtlSeconds = session.Value(ttl),
                Scope = session.Value(scope),
                AgentId = session.AgentId,
            };

            // Refused here already, so that a bad request opens no database.
            MemoryRules.Check(draft, session.Now);
            var service = await session.OpenCollectedAsync();
            var (receipt, similar) = service is RemoteMemoryService remote ? await remote.StoreNotingAsync(draft, session.Write) : await StoreAsync((INodeService)service, draft, session.Write);
            if (similar.Count > 0)
            {
                session.Error.WriteLine($"warning: {similar.Count} similar memories exist in {receipt.Memory.Namespace}");
            }

            if (session.Json)
            {
                session.Report.Json(writer => MemoryJson.WriteSorted(writer, receipt.Memory, similar: similar));
            }
            else
            {
                session.Text.WriteLine($"stored: {receipt.Memory.Id} [{receipt.Memory.Tier.Name()}] (ns={receipt.Memory.Namespace})");
            }

            return 0;
        });
    }

    /// <returns>With the ids of other memories that the stored one may contradict.</returns>
    private static async Task<(WriteReceipt Receipt, IReadOnlyList<string> Similar)> StoreAsync(INodeService node, MemoryDraft draft, WriteContext context)
    {
        IReadOnlyList<string> similar;
        try
        {
            similar = (await node.SimilarAsync(draft.Namespace, draft.Title)).Ids;
        }
        catch (MemoryException exception) when (exception.Kind == ErrorKind.QueryEmpty)
        {
            similar = [];
        }

        var receipt = await node.StoreAsync(draft, context);
        return (receipt, [.. similar.Where(id => id != receipt.Memory.Id).Take(SimilarMemories.MostIds)]);
    }

    private static async Task<string> ReadAsync(Stream input)
    {
        using var reader = new StreamReader(
            input,
            new UTF8Encoding(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true),
            detectEncodingFromByteOrderMarks: false);
        var text = new StringBuilder();
        var buffer = new char[16 * 1024];
        try
        {
            for (int read; (read = await reader.ReadAsync(buffer)) > 0;)
            {
                if (text.Append(buffer, 0, read).Length > StandardInputCharacters)
                {
                    throw new MemoryException(ErrorKind.ContentTooLarge, $"content exceeds max size of {MemoryLimits.ContentBytes} bytes");
                }
            }
        }
        catch (DecoderFallbackException exception)
        {
            throw new MemoryException(ErrorKind.ContentInvalid, "standard input is not valid UTF-8", exception);
        }

        return text.ToString();
    }
}
