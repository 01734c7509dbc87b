using System.Text.Json;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Core.Governance;

/// <summary>Who may do something in a namespace.</summary>
public enum GovernanceRule
{
    Any,

    /// <summary>Agents that are registered.</summary>
    Registered,

    /// <summary>The author of what is changed; of something new, who set the policy.</summary>
    Owner,

    /// <summary>Anyone, once it was approved.</summary>
    Approve,
}

/// <summary>Who approves: one agent, a number of registered agents, or, with neither, any human.</summary>
public sealed record Approver(string? AgentId = null, int? Consensus = null)
{
    public static Approver Human { get; } = new();
}

/// <summary>What a namespace, and those below it that say nothing themselves, asks of writes.</summary>
public sealed record GovernancePolicy(GovernanceRule Write, GovernanceRule Promote, GovernanceRule Delete, Approver Approver)
{
    /// <summary>What is shown where nothing is set; then nothing is enforced.</summary>
    public static GovernancePolicy Default { get; } = new(GovernanceRule.Any, GovernanceRule.Any, GovernanceRule.Owner, Approver.Human);

    /// <summary>The policy of a stored body; null when it sets none.</summary>
    /// <exception cref="MemoryException"><see cref="ErrorKind.InvalidGovernance"/>: it sets one that cannot be read.</exception>
    public static GovernancePolicy? Of(PolicyBody body) => body is { Write: null, Promote: null, Delete: null, Approver: null }
        ? null
        : new(Rule("write", body.Write), Rule("promote", body.Promote), Rule("delete", body.Delete), ParseApprover(body.Approver));

    /// <summary>An object with all four fields.</summary>
    /// <exception cref="MemoryException"><see cref="ErrorKind.InvalidGovernance"/></exception>
    public static GovernancePolicy Parse(JsonElement element) => element.ValueKind == JsonValueKind.Object
        ? new(Rule("write", Text(element, "write")), Rule("promote", Text(element, "promote")), Rule("delete", Text(element, "delete")),
            ParseApprover(element.TryGetProperty("approver", out var approver) ? approver : null))
        : throw Invalid("it must be an object");

    public static string NameOf(GovernanceRule rule) => rule switch
    {
        GovernanceRule.Any => "any",
        GovernanceRule.Registered => "registered",
        GovernanceRule.Owner => "owner",
        _ => "approve",
    };

    /// <summary>The policy's part of a stored body; the rest of it stays.</summary>
    public PolicyBody WriteTo(PolicyBody body, string? owner) =>
        body with { Write = NameOf(Write), Promote = NameOf(Promote), Delete = NameOf(Delete), Approver = ApproverElement(), Owner = owner };

    public JsonElement ApproverElement() => Approver switch
    {
        { AgentId: { } agent } => JsonSerializer.SerializeToElement(new Dictionary<string, string> { ["agent"] = agent }, GovernanceJson.Default.DictionaryStringString),
        { Consensus: { } voters } => JsonSerializer.SerializeToElement(new Dictionary<string, int> { ["consensus"] = voters }, GovernanceJson.Default.DictionaryStringInt32),
        _ => JsonSerializer.SerializeToElement("human", GovernanceJson.Default.String),
    };

    private static GovernanceRule Rule(string field, string? word) => word switch
    {
        "any" => GovernanceRule.Any,
        "registered" => GovernanceRule.Registered,
        "owner" => GovernanceRule.Owner,
        "approve" => GovernanceRule.Approve,
        null => throw Invalid($"missing field `{field}`"),
        _ => throw Invalid($"{field} must be any, registered, owner or approve"),
    };

    private static Approver ParseApprover(JsonElement? element)
    {
        switch (element)
        {
            case { ValueKind: JsonValueKind.String } text when text.GetString() == "human":
                return Approver.Human;
            case { ValueKind: JsonValueKind.Object } one when one.TryGetProperty("agent", out var agent) && agent.ValueKind == JsonValueKind.String:
                return new(AgentId: MemoryRules.AgentId(agent.GetString()!, "invalid governance: approver agent"));
            case { ValueKind: JsonValueKind.Object } some when some.TryGetProperty("consensus", out var voters) && voters.ValueKind == JsonValueKind.Number
                && voters.TryGetInt32(out var number) && number is >= 1 and <= MemoryLimits.ConsensusVoters:
                return new(Consensus: number);
            case null:
                throw Invalid("missing field `approver`");
            default:
                throw Invalid($"approver must be \"human\", {{\"agent\":id}} or {{\"consensus\":1 to {MemoryLimits.ConsensusVoters}}}");
        }
    }

    private static string? Text(JsonElement element, string field) =>
        element.TryGetProperty(field, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    private static MemoryException Invalid(string why) => new(ErrorKind.InvalidGovernance, $"invalid governance: {why}");
}

[System.Text.Json.Serialization.JsonSerializable(typeof(Dictionary<string, string>))]
[System.Text.Json.Serialization.JsonSerializable(typeof(Dictionary<string, int>))]
[System.Text.Json.Serialization.JsonSerializable(typeof(string))]
internal sealed partial class GovernanceJson : System.Text.Json.Serialization.JsonSerializerContext;
