using OrleansMemory.Api.Http;
using OrleansMemory.Api.Routes;
using OrleansMemory.Core;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Recall;

namespace OrleansMemory.Api.Mcp;

/// <summary>The ways to find memories.</summary>
internal static class RecallTools
{
    private static readonly ToolParameter Namespace = new("namespace", ToolSchema.Text("Only this namespace."));
    private static readonly ToolParameter Tier = new("tier", ToolSchema.Tiers());
    private static readonly ToolParameter AgentId = new("agent_id", ToolSchema.Text("Only memories of this author."));
    private static readonly ToolParameter AsAgent = new("as_agent", ToolSchema.Text("The caller's place in the namespace tree: shows what is visible from there."));
    private static readonly ToolParameter Format = new("format", ToolSchema.Formats());

    public static IEnumerable<ToolDefinition> All { get; } =
    [
        new(
            "memory_recall",
            "Recall memories",
            "Memories that matter to what you are about to do, best first, behind the standards of the namespace.",
            ToolEffect.Reads,
            [
                new("context", ToolSchema.Text("What you are about to do, in any words."), Required: true),
                Namespace,
                new("limit", ToolSchema.Integer(0, MemoryLimits.RecallRows, MemoryLimits.DefaultRecallRows)),
                new("tags", ToolSchema.Text("One exact tag.")),
                new("since", ToolSchema.Text("Created at or after; RFC 3339.")),
                new("until", ToolSchema.Text("Created at or before; RFC 3339.")),
                AsAgent,
                new("budget_tokens", ToolSchema.Integer(1, about: "Stops before the memories cost more.")),
                new("context_tokens", ToolSchema.List(ToolSchema.Text(), "Words of the recent conversation.")),
                Format,
            ],
            ToolSchema.Object(
                ["count", "memories", "mode", "tokens_used"],
                ("budget_tokens", ToolSchema.Integer(0)), ("complete", ToolSchema.Boolean(about: "False: a match may be missing.")), ("count", ToolSchema.Integer(0)), ("degraded", ToolSchema.Text("Why it is less than it could be.")),
                ("memories", ToolSchema.List(ToolSchema.Row())), ("mode", ToolSchema.Text()), ("standard", ToolSchema.Standard()), ("standards", ToolSchema.List(ToolSchema.Standard())), ("tokens_used", ToolSchema.Integer(0))),
            RecallAsync)
        { IsCore = true },
        new(
            "memory_search",
            "Search memories",
            "Memories that hold every word of the query, best first.",
            ToolEffect.Reads,
            [
                new("query", ToolSchema.Text("The words."), Required: true),
                Namespace,
                Tier,
                new("limit", ToolSchema.Integer(0, MemoryLimits.ListRows, MemoryLimits.DefaultListRows)),
                AgentId,
                AsAgent,
                Format,
            ],
            ToolSchema.Object(["count", "results"], ("complete", ToolSchema.Boolean(about: "False: a match may be missing.")), ("count", ToolSchema.Integer(0)), ("results", ToolSchema.List(ToolSchema.Row()))),
            SearchAsync),
        new(
            "memory_list",
            "List memories",
            "Memories by priority, then by the time of their last update, both descending.",
            ToolEffect.Reads,
            [
                Namespace,
                Tier,
                new("limit", ToolSchema.Integer(0, MemoryLimits.ListRows, MemoryLimits.DefaultListRows)),
                new("offset", ToolSchema.Integer(0, standard: 0, about: "Rows to pass over.")),
                AgentId,
                Format,
            ],
            ToolSchema.Object(["count", "memories"], ("count", ToolSchema.Integer(0)), ("memories", ToolSchema.List(ToolSchema.Row()))),
            ListAsync)
        { IsCore = true },
        new(
            "memory_session_start",
            "Start a session",
            "What to know first: the standards of a namespace, and its memories by priority.",
            ToolEffect.Reads,
            [Namespace, new("limit", ToolSchema.Integer(0, MemoryLimits.RecallRows, MemoryLimits.DefaultRecallRows)), Format],
            ToolSchema.Object(
                ["count", "memories", "mode"],
                ("count", ToolSchema.Integer(0)), ("memories", ToolSchema.List(ToolSchema.Row())), ("mode", ToolSchema.Words([SessionRoutes.Mode])), ("standard", ToolSchema.Standard()),
                ("standards", ToolSchema.List(ToolSchema.Standard())), ("summary", ToolSchema.Text())),
            StartSessionAsync),
    ];

    private static async Task<ToolAnswer> RecallAsync(ToolCall call)
    {
        var fields = call.Fields;
        var context = fields.Text("context");
        if (string.IsNullOrWhiteSpace(context))
        {
            throw new MemoryException(ErrorKind.QueryEmpty, "context is required");
        }

        var budget = ReadFilters.BudgetTokens(fields.Integer("budget_tokens"));
        var query = new RecallQuery
        {
            Context = context,
            Namespace = fields.TextOrNull("namespace"),
            Tag = fields.TextOrNull("tags"),
            Since = ReadFilters.Instant("since", fields.TextOrNull("since")),
            Until = ReadFilters.Instant("until", fields.TextOrNull("until")),
            AsAgent = ReadFilters.AsAgent(fields.TextOrNull("as_agent")),
            Limit = ReadFilters.Limit(fields.Integer("limit"), MemoryLimits.DefaultRecallRows, MemoryLimits.RecallRows),
            BudgetTokens = budget,
            ContextTokens = fields.Texts("context_tokens") ?? [],
        };
        var started = call.Services.Time.GetTimestamp();
        var result = await call.Node.RecallAsync(query, call.Cancellation);
        call.Services.Instruments.CountRecall(result.Mode, call.Services.Time.GetElapsedTime(started));
        var standards = query.Namespace is { } name ? await StandardsAsync(call, name) : [];

        // What stands at the head is not shown twice, and not counted twice.
        var shown = result.Memories.Where(hit => !standards.Any(standard => standard.Id == hit.Memory.Id)).ToList();
        return new MemoryList
        {
            Rows = [.. shown.Select(static hit => new ToonRow(hit.Memory, hit.Score))],
            Standards = standards,
            Mode = result.Mode,
            TokensUsed = shown.Count == result.Memories.Count ? result.TokensUsed : shown.Sum(static hit => TokenBudget.Cost(hit.Memory)),
            BudgetTokens = budget,
            IsComplete = result.IsComplete,
            Degraded = result.Degraded,
        }.Answer(fields.TextOrNull("format"));
    }

    private static async Task<ToolAnswer> SearchAsync(ToolCall call)
    {
        var fields = call.Fields;
        var text = fields.Text("query");
        if (string.IsNullOrWhiteSpace(text))
        {
            throw new MemoryException(ErrorKind.QueryEmpty, "query is required");
        }

        var found = await call.Node.SearchAsync(
            new()
            {
                Text = text,
                Namespace = fields.TextOrNull("namespace"),
                Tier = fields.Tier("tier"),
                AgentId = ReadFilters.AgentId(fields.TextOrNull("agent_id")),
                Limit = ReadFilters.Limit(fields.Integer("limit"), MemoryLimits.DefaultListRows, MemoryLimits.ListRows),
                AsAgent = ReadFilters.AsAgent(fields.TextOrNull("as_agent")),
            },
            call.Cancellation);
        return new MemoryList { Rows = [.. found.Memories.Select(static hit => new ToonRow(hit.Memory))], IsComplete = found.IsComplete, Name = "results" }.Answer(fields.TextOrNull("format"));
    }

    private static async Task<ToolAnswer> ListAsync(ToolCall call)
    {
        var fields = call.Fields;
        var page = await call.Node.ListAsync(
            new()
            {
                Namespace = fields.TextOrNull("namespace"),
                Tier = fields.Tier("tier"),
                AgentId = ReadFilters.AgentId(fields.TextOrNull("agent_id")),
                Limit = ReadFilters.Limit(fields.Integer("limit"), MemoryLimits.DefaultListRows, MemoryLimits.ListRows),
                Offset = ReadFilters.Offset(fields.Integer("offset")),
            },
            call.Cancellation);
        return new MemoryList { Rows = [.. page.Memories.Select(static memory => new ToonRow(memory))] }.Answer(fields.TextOrNull("format"));
    }

    private static async Task<ToolAnswer> StartSessionAsync(ToolCall call)
    {
        var start = await call.Node.StartSessionAsync(
            call.Fields.TextOrNull("namespace"), ReadFilters.Limit(call.Fields.Integer("limit"), MemoryLimits.DefaultRecallRows, MemoryLimits.RecallRows), call.Cancellation);
        return new MemoryList { Rows = [.. start.Memories.Select(static memory => new ToonRow(memory, 0))], Standards = start.Standards, Mode = SessionRoutes.Mode }.Answer(call.Fields.TextOrNull("format"));
    }

    private static async Task<IReadOnlyList<Memory>> StandardsAsync(ToolCall call, string @namespace)
    {
        var chain = await call.Node.StandardChainAsync(@namespace, call.Cancellation);
        return [.. chain.Standards.Where(static standard => standard.Memory is not null).Select(static standard => standard.Memory!)];
    }
}
