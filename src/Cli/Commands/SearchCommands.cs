using System.CommandLine;
using OrleansMemory.Cli.Options;
using OrleansMemory.Cli.Output;
using OrleansMemory.Core;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Cli.Commands;

/// <summary>Commands that show memories in rows.</summary>
internal static class SearchCommands
{
    public static CliCommand Search()
    {
        var text = new Argument<string>("QUERY") { Description = "Words that a memory must all hold" };
        var filters = new FilterOptions(withTier: true, withAgent: true);
        var limit = OptionKinds.Number("Rows at most [default: 20]", 0, int.MaxValue, "--limit");
        var asAgent = OptionKinds.Text("Show only what is visible from this namespace", "--as-agent");
        var command = new Command("search", "Find memories that hold every word") { text, limit, asAgent };
        filters.AddTo(command);
        return new(command, async session =>
        {
            var filter = filters.Read(session);
            var query = new SearchQuery
            {
                Text = session.Required(text),
                Limit = session.Value(limit) ?? MemoryLimits.DefaultListRows,
                AsAgent = session.Value(asAgent),
                Namespace = filter.Namespace,
                Tier = filter.Tier,
                Since = filter.Since,
                Until = filter.Until,
                Tag = filter.Tag,
                AgentId = filter.AgentId,
            };
            var service = await session.OpenCollectedAsync();
            var found = await service.SearchAsync(query);
            IncompleteIndex.Warn(session, found.IsComplete);
            Show(session, found.Memories.Select(hit => hit.Memory).ToList(), "results", "result(s)", $"no results for: {query.Text}");
            return 0;
        });
    }

    public static CliCommand List()
    {
        var filters = new FilterOptions(withTier: true, withAgent: true);
        var limit = OptionKinds.Number("Rows at most [default: 20]", 0, int.MaxValue, "--limit");
        var offset = OptionKinds.Number("Rows to pass over [default: 0]", 0L, long.MaxValue, "--offset");
        var command = new Command("list", "List memories, highest priority first") { limit, offset };
        filters.AddTo(command);
        return new(command, async session =>
        {
            var filter = filters.Read(session);
            var query = new ListQuery
            {
                Limit = session.Value(limit) ?? MemoryLimits.DefaultListRows,
                Offset = session.Value(offset) ?? 0,
                Namespace = filter.Namespace,
                Tier = filter.Tier,
                Since = filter.Since,
                Until = filter.Until,
                Tag = filter.Tag,
                AgentId = filter.AgentId,
            };
            var service = await session.OpenCollectedAsync();
            var page = await service.ListAsync(query);
            Show(session, page.Memories, "memories", "memory(ies)", "no memories stored");
            return 0;
        });
    }

    private static void Show(Session session, IReadOnlyList<Memory> memories, string key, string noun, string none)
    {
        if (session.Json)
        {
            session.Report.Json(writer =>
            {
                writer.WriteStartObject();
                writer.WriteNumber("count", memories.Count);
                writer.WriteStartArray(key);
                foreach (var memory in memories)
                {
                    MemoryJson.WriteSorted(writer, memory);
                }

                writer.WriteEndArray();
                writer.WriteEndObject();
            });
            return;
        }

        if (memories.Count == 0)
        {
            session.Error.WriteLine(none);
            return;
        }

        foreach (var memory in memories)
        {
            Rows.WriteRow(session.Text, memory, session.Now);
        }

        session.Text.WriteLine();
        session.Text.WriteLine($"{memories.Count} {noun}");
    }
}
