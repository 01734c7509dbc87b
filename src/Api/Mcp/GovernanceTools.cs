using OrleansMemory.Api.Http;
using OrleansMemory.Api.Routes;
using OrleansMemory.Core.Governance;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Api.Mcp;

/// <summary>Standards of namespaces, changes that wait for approval, and the agents that decide.</summary>
internal static class GovernanceTools
{
    private static readonly ToolParameter Namespace = new("namespace", ToolSchema.Text("A namespace; * stands for all of them."), Required: true);
    private static readonly ToolParameter PendingId = new("id", ToolSchema.Text("The pending_id."), Required: true);

    public static IEnumerable<ToolDefinition> All { get; } =
    [
        new(
            "memory_namespace_set_standard",
            "Set a standard",
            "Say which memory is the standard of a namespace: it stands at the head of each recall there. With governance also who may write.",
            ToolEffect.Destroys,
            [
                Namespace,
                new("id", ToolSchema.Text("The exact id of the memory."), Required: true),
                new("parent", ToolSchema.Text("The namespace whose standards come before.")),
                new("governance", ToolSchema.Object(
                    [], ("write", Rules()), ("promote", Rules()), ("delete", Rules()),
                    ("approver", new() { ["description"] = "\"human\", {\"agent\": id} or {\"consensus\": number}; all four fields are needed." }))),
            ],
            ToolSchema.Object(["namespace", "set", "standard_id"], ("governance", ToolSchema.AnyObject()), ("namespace", ToolSchema.Text()), ("parent", ToolSchema.Text()), ("set", ToolSchema.Boolean()), ("standard_id", ToolSchema.Text())),
            SetStandardAsync)
        { IsIdempotent = true },
        new(
            "memory_namespace_get_standard",
            "Get a standard",
            "The standard of a namespace; with inherit those of the namespaces above it as well, the most general first.",
            ToolEffect.Reads,
            [Namespace, new("inherit", ToolSchema.Boolean(standard: false))],
            ToolSchema.Either(
                Standard(),
                ToolSchema.Object(["chain", "count", "namespace", "standards"], ("chain", ToolSchema.List(ToolSchema.Text())), ("count", ToolSchema.Integer(0)), ("namespace", ToolSchema.Text()), ("standards", ToolSchema.List(Standard())))),
            GetStandardAsync),
        new(
            "memory_namespace_clear_standard",
            "Clear a standard",
            "Take the standard of a namespace away, and its policy.",
            ToolEffect.Destroys,
            [Namespace],
            ToolSchema.Object(["cleared", "namespace"], ("cleared", ToolSchema.Boolean()), ("namespace", ToolSchema.Text())),
            ClearStandardAsync)
        { IsIdempotent = true },
        new(
            "memory_pending_list",
            "List pending actions",
            "Changes that wait for approval and what became of them, latest first.",
            ToolEffect.Reads,
            [
                new("status", ToolSchema.Words([PendingStatuses.Pending, PendingStatuses.Approved, PendingStatuses.Rejected], "Without it all.")),
                new("limit", ToolSchema.Integer(0, PendingRoutes.MostRows, PendingRoutes.StandardRows)),
            ],
            ToolSchema.Object(
                ["count", "pending"],
                ("count", ToolSchema.Integer(0)),
                ("pending", ToolSchema.List(ToolSchema.Object(
                    ["action_type", "approvals", "id", "memory_id", "namespace", "payload", "requested_at", "requested_by", "status"],
                    ("action_type", ToolSchema.Text()), ("approvals", ToolSchema.List(ToolSchema.AnyObject())), ("decided_at", ToolSchema.Text()), ("decided_by", ToolSchema.OrNull(ToolSchema.Text())), ("id", ToolSchema.Text()),
                    ("memory_id", ToolSchema.OrNull(ToolSchema.Text())), ("namespace", ToolSchema.Text()), ("payload", ToolSchema.AnyObject()), ("requested_at", ToolSchema.Text()), ("requested_by", ToolSchema.Text()),
                    ("status", ToolSchema.Text()))))),
            ListPendingAsync),
        new(
            "memory_pending_approve",
            "Approve a pending action",
            "Consent to a pending action; the last consent that is needed carries it out.",
            ToolEffect.Destroys,
            [PendingId],
            Vote(),
            static call => VoteAsync(call, approve: true)),
        new(
            "memory_pending_reject",
            "Reject a pending action",
            "Refuse a pending action.",
            ToolEffect.Destroys,
            [PendingId],
            Vote(),
            static call => VoteAsync(call, approve: false)),
        new(
            "memory_agent_register",
            "Register an agent",
            "Make an agent known, or refresh its registration.",
            ToolEffect.Adds,
            [
                new("agent_id", ToolSchema.Text(most: MemoryLimits.AgentIdBytes), Required: true),
                new("agent_type", ToolSchema.Text("human, system, or ai: and a name.", most: MemoryLimits.AgentTypeBytes), Required: true),
                new("capabilities", ToolSchema.List(ToolSchema.Text(most: MemoryLimits.TagBytes), most: MemoryLimits.Tags)),
            ],
            ToolSchema.Object(["agent_id", "agent_type", "capabilities", "id", "registered"], [.. AgentFields(), ("id", ToolSchema.Text()), ("registered", ToolSchema.Boolean())]),
            RegisterAsync)
        { IsIdempotent = true },
        new(
            "memory_agent_list",
            "List agents",
            "Registered agents, by the time of their first registration.",
            ToolEffect.Reads,
            [],
            ToolSchema.Object(["agents", "count"], ("agents", ToolSchema.List(ToolSchema.Object(["agent_id", "agent_type", "capabilities", "last_seen_at", "registered_at"], AgentFields()))), ("count", ToolSchema.Integer(0))),
            static async call => ToolAnswer.Json(await call.Node.AgentsAsync(call.Cancellation), AgentRoutes.WriteAll)),
    ];

    private static async Task<ToolAnswer> SetStandardAsync(ToolCall call)
    {
        var name = MemoryRules.Namespace(call.Fields.Text("namespace"));
        var id = call.Fields.Text("id");
        var parent = call.Fields.TextOrNull("parent");
        var policy = call.Fields.Find("governance") is { } governance ? GovernancePolicy.Parse(governance) : null;
        await call.Node.SetStandardAsync(name, id, parent, policy, call.Writes());
        return ToolAnswer.Json(new NamespaceStandard(name, id, parent, null, policy), StandardRoutes.WriteSet);
    }

    private static async Task<ToolAnswer> GetStandardAsync(ToolCall call)
    {
        var name = MemoryRules.Namespace(call.Fields.Text("namespace"));
        return call.Fields.Boolean("inherit") is true
            ? ToolAnswer.Json((name, chain: await call.Node.StandardChainAsync(name, call.Cancellation)), static (writer, answer) => StandardRoutes.Write(writer, answer.name, answer.chain))
            : ToolAnswer.Json(await call.Node.StandardAsync(name, call.Cancellation), static (writer, standard) => StandardRoutes.Write(writer, standard));
    }

    private static async Task<ToolAnswer> ClearStandardAsync(ToolCall call)
    {
        var name = MemoryRules.Namespace(call.Fields.Text("namespace"));
        var cleared = await call.Node.ClearStandardAsync(name, call.Writes());
        return ToolAnswer.Json((name, cleared), static (writer, answer) => StandardRoutes.WriteCleared(writer, answer.name, answer.cleared));
    }

    private static async Task<ToolAnswer> ListPendingAsync(ToolCall call) => ToolAnswer.Json(
        await call.Node.PendingAsync(
            call.Fields.TextOrNull("status"), ReadFilters.Limit(call.Fields.Integer("limit"), PendingRoutes.StandardRows, PendingRoutes.MostRows), call.Cancellation),
        PendingRoutes.WriteAll);

    private static async Task<ToolAnswer> VoteAsync(ToolCall call, bool approve)
    {
        var outcome = await call.Node.VoteAsync(MemoryRules.Id(call.Fields.Text("id")), approve, call.Writes());
        return ToolAnswer.Object(writer => PendingRoutes.WriteOutcome(writer, outcome));
    }

    private static async Task<ToolAnswer> RegisterAsync(ToolCall call)
    {
        var agent = await call.Node.RegisterAgentAsync(call.Fields.Text("agent_id"), call.Fields.Text("agent_type"), call.Fields.Texts("capabilities") ?? [], call.WritesAs(call.CallerId));
        return ToolAnswer.Object(writer => AgentRoutes.Write(writer, agent, isReceipt: true));
    }

    private static System.Text.Json.Nodes.JsonObject Rules() => ToolSchema.Words(
    [
        GovernancePolicy.NameOf(GovernanceRule.Any), GovernancePolicy.NameOf(GovernanceRule.Registered), GovernancePolicy.NameOf(GovernanceRule.Owner), GovernancePolicy.NameOf(GovernanceRule.Approve),
    ]);

    private static System.Text.Json.Nodes.JsonObject Standard() => ToolSchema.Object(
        ["namespace", "standard_id"],
        ("content", ToolSchema.Text()), ("governance", ToolSchema.AnyObject()), ("namespace", ToolSchema.Text()), ("parent", ToolSchema.Text()), ("priority", ToolSchema.Integer()),
        ("standard_id", ToolSchema.OrNull(ToolSchema.Text())), ("title", ToolSchema.Text()), ("warning", ToolSchema.Text()));

    private static System.Text.Json.Nodes.JsonObject Vote() => ToolSchema.Object(
        ["id"],
        ("approved", ToolSchema.Boolean()), ("decided_by", ToolSchema.OrNull(ToolSchema.Text())), ("executed", ToolSchema.Boolean()), ("id", ToolSchema.Text()), ("memory_id", ToolSchema.OrNull(ToolSchema.Text())),
        ("quorum", ToolSchema.Integer(1)), ("reason", ToolSchema.Text()), ("rejected", ToolSchema.Boolean()), ("status", ToolSchema.Text()), ("votes", ToolSchema.Integer(0)));

    private static (string, System.Text.Json.Nodes.JsonObject)[] AgentFields() =>
    [
        ("agent_id", ToolSchema.Text()), ("agent_type", ToolSchema.Text()), ("capabilities", ToolSchema.List(ToolSchema.Text())), ("last_seen_at", ToolSchema.Text()), ("registered_at", ToolSchema.Text()),
    ];
}
