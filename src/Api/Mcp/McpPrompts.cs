using ModelContextProtocol;
using ModelContextProtocol.Protocol;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Api.Mcp;

/// <summary>Texts that teach a model to use the tools.</summary>
internal static class McpPrompts
{
    public const string Instructions =
        "Long-term memory shared by agents and sessions. Recall before you answer (memory_recall), store what will matter later (memory_store), "
        + "and get a memory whole by its id (memory_get). Lists come as tables of text (TOON); ask for format json to have whole memories.";

    private const string RecallFirst = "recall-first";
    private const string Workflow = "memory-workflow";
    private const string Namespace = "namespace";

    public static IList<Prompt> All { get; } =
    [
        new()
        {
            Name = RecallFirst,
            Title = "Recall first",
            Description = "Rules for a session with a memory: what to recall, what to store, and how.",
            Arguments = [new() { Name = Namespace, Description = "The namespace to work in.", Required = false }],
        },
        new() { Name = Workflow, Title = "Memory workflow", Description = "A card of what each tool is for." },
    ];

    /// <exception cref="McpProtocolException">Unknown.</exception>
    public static GetPromptResult Get(string? name, IDictionary<string, System.Text.Json.JsonElement>? arguments) => name switch
    {
        null or "" => throw new McpProtocolException("missing or empty prompt name", McpErrorCode.InvalidParams),
        RecallFirst => Of("Rules for a session with a memory.", Rules(Text(arguments))),
        Workflow => Of("What each tool is for.", Card),
        _ => throw new McpProtocolException($"unknown prompt: {(name.Length <= 64 ? name : name[..64])}", McpErrorCode.InvalidParams),
    };

    private static string? Text(IDictionary<string, System.Text.Json.JsonElement>? arguments) =>
        arguments is not null && arguments.TryGetValue(Namespace, out var value) && value.ValueKind == System.Text.Json.JsonValueKind.String ? value.GetString() : null;

    private static string Rules(string? @namespace)
    {
        const string rules = """
            You have a long-term memory that outlives this session. Work with it like this:

            1. Before you answer, call memory_recall with a few words of what you are about to do, and use what it finds.
            2. When the user corrects you or states a preference, store it at once with memory_store: tier long, priority 9.
            3. Lists come as compact tables (TOON) with an excerpt of each content. Ask for format json when you want to parse them, or memory_get for one memory whole.
            4. Tiers are lifetimes: short lives hours, mid days, long for good. A mid memory that is recalled five times becomes long by itself.
            5. Storing a title that exists in the same namespace updates that memory, so use a title again when the same fact changes.
            6. Keep projects apart with namespaces, such as project/area.
            7. Call memory_capabilities once to know what works here.
            8. Tag what you store, so that it can be found by its kind.
            """;
        return @namespace is null ? rules : $"{rules}\n\nWork in the namespace {MemoryRules.Namespace(@namespace)}.";
    }

    private const string Card = """
        store: memory_store keeps a fact under a title.
        recall: memory_recall finds what matters to a context, best first.
        search: memory_search finds what holds every word.
        list: memory_list shows a namespace by priority.
        get: memory_get shows one memory whole, with its links.
        promote: memory_promote makes a memory long-lived, or copies it up its namespace tree.
        consolidate: memory_consolidate makes one memory of several.
        link: memory_link says how one memory relates to another.
        tag: memory_auto_tag lets a text model tag a memory.
        expand: memory_expand_query asks a text model for further words of a query.
        contradict: memory_detect_contradiction asks a text model whether two memories contradict each other.
        """;

    private static GetPromptResult Of(string description, string text) => new()
    {
        Description = description,
        Messages = [new() { Role = Role.User, Content = new TextContentBlock { Text = text.ReplaceLineEndings("\n") } }],
    };
}
