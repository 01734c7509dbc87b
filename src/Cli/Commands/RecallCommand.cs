using System.CommandLine;
using OrleansMemory.Cli.Options;
using OrleansMemory.Cli.Output;
using OrleansMemory.Core;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Cli.Commands;

internal static class RecallCommand
{
    public static CliCommand Create()
    {
        var context = new HyphenArgument("CONTEXT") { Description = "What you are about to do, in any words" };
        var filters = new FilterOptions(withTier: false, withAgent: false);
        var limit = OptionKinds.Number("Memories at most [default: 10]", 0, int.MaxValue, "--limit");
        var feature = OptionKinds.Text("Feature tier: keyword, semantic, smart or autonomous", "--tier", "-T");
        var asAgent = OptionKinds.Text("Show only what is visible from this namespace", "--as-agent");
        var budget = OptionKinds.Number("Stop before the memories cost more tokens than this", 0L, long.MaxValue, "--budget-tokens");
        var near = new Option<string[]>("--context-tokens") { Description = "Words of the recent conversation, comma list", Arity = ArgumentArity.OneOrMore };
        var command = new Command("recall", "Find the memories that matter to a context, best first") { context, limit, feature, asAgent, budget, near };
        filters.AddTo(command);
        return new(command, async session =>
        {
            var filter = filters.Read(session);
            var query = new RecallQuery
            {
                Context = session.Required(context),
                Limit = session.Value(limit) ?? MemoryLimits.DefaultRecallRows,
                AsAgent = session.Value(asAgent),
                BudgetTokens = session.Value(budget),
                Namespace = filter.Namespace,
                Since = filter.Since,
                Until = filter.Until,
                Tag = filter.Tag,
                ContextTokens = [.. (session.Value(near) ?? []).SelectMany(static list => list.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))],
                KeywordOnly = string.Equals(session.Value(feature), "keyword", StringComparison.OrdinalIgnoreCase),
            };
            var service = await session.OpenCollectedAsync();
            if (!query.KeywordOnly)
            {
                await session.EmbedAsync();
            }

            var result = await service.RecallAsync(query);
            IncompleteIndex.Warn(session, result.IsComplete);
            if (result.Degraded is { } degraded)
            {
                session.Error.WriteLine($"{session.Invocation.Name}: recall is degraded: {degraded}");
            }

            if (session.Json)
            {
                WriteJson(session, query, result);
            }
            else if (result.Memories.Count == 0)
            {
                session.Error.WriteLine($"no memories found for: {query.Context}");
            }
            else
            {
                foreach (var hit in result.Memories)
                {
                    Rows.WriteHit(session.Report, hit.Memory, hit.Score, result.Memories[0].Score, session.Now);
                }

                session.Text.WriteLine($"{result.Memories.Count} memory(ies) recalled [{result.Mode}]");
            }

            return 0;
        });
    }

    private static void WriteJson(Session session, RecallQuery query, RecallResult result) => session.Report.Json(writer =>
    {
        writer.WriteStartObject();
        if (query.BudgetTokens is { } budget)
        {
            writer.WriteNumber("budget_tokens", budget);
        }

        writer.WriteNumber("count", result.Memories.Count);
        writer.WriteStartArray("memories");
        foreach (var hit in result.Memories)
        {
            MemoryJson.WriteSorted(writer, hit.Memory, hit.Score);
        }

        writer.WriteEndArray();
        writer.WriteString("mode", result.Mode);
        writer.WriteNumber("tokens_used", result.TokensUsed);
        writer.WriteEndObject();
    });
}
