using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using OrleansMemory.Api.Routes;
using OrleansMemory.Cli.Options;
using OrleansMemory.Core.Governance;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Cli.Commands;

/// <summary>Which memory says what holds in a namespace, and what the namespace asks of writes.</summary>
internal static class StandardCommands
{
    private static readonly string[] Rules = ["any", "registered", "owner", "approve"];

    public static CliCommand Create() => CliCommand.Group("standard", "Show, set or clear the standard of a namespace, and its policy", [Get(), Set(), Clear()]);

    private static CliCommand Get()
    {
        var name = NamespaceArgument();
        var inherit = OptionKinds.Flag("With those of the namespaces above, the most general first", "--inherit");
        return new(new Command("get", "Show the standard of a namespace") { name, inherit }, async session =>
        {
            var asked = MemoryRules.Namespace(session.Required(name));
            var service = await session.OpenAsync();
            var chain = session.Value(inherit) ? await service.StandardChainAsync(asked) : null;
            var standards = chain?.Standards ?? [await service.StandardAsync(asked)];
            if (session.Json)
            {
                session.Report.Json(writer =>
                {
                    if (chain is null)
                    {
                        StandardRoutes.Write(writer, standards[0]);
                        return;
                    }

                    writer.WriteStartObject();
                    writer.WriteStartArray("chain");
                    foreach (var link in chain.Chain)
                    {
                        writer.WriteStringValue(link);
                    }

                    writer.WriteEndArray();
                    writer.WriteNumber("count", standards.Count);
                    writer.WriteString("namespace", asked);
                    writer.WriteStartArray("standards");
                    foreach (var standard in standards)
                    {
                        StandardRoutes.Write(writer, standard);
                    }

                    writer.WriteEndArray();
                    writer.WriteEndObject();
                });
                return 0;
            }

            foreach (var standard in standards.Where(static standard => standard.StandardId is not null || standard.Policy is not null))
            {
                session.Text.WriteLine($"{standard.Namespace}: {standard.Memory?.Title ?? "-"} ({standard.StandardId ?? "no standard"})");
                if (standard.Policy is { } policy)
                {
                    session.Text.WriteLine($"  policy: write={GovernancePolicy.NameOf(policy.Write)} promote={GovernancePolicy.NameOf(policy.Promote)} delete={GovernancePolicy.NameOf(policy.Delete)}");
                }

                if (standard.Memory is { } memory)
                {
                    session.Text.WriteLine($"  {memory.Content.ReplaceLineEndings("\n  ")}");
                }
            }

            if (standards.All(static standard => standard.StandardId is null && standard.Policy is null))
            {
                session.Error.WriteLine($"no standard: {asked}");
            }

            return 0;
        });
    }

    private static CliCommand Set()
    {
        var name = NamespaceArgument();
        var id = new Argument<string>("ID") { Description = "Full id of the memory that is the standard" };
        var parent = OptionKinds.Text("Namespace whose standards come before", "--parent");
        var write = OptionKinds.Text($"Who may write: {string.Join(", ", Rules)}", "--write");
        var promote = OptionKinds.Text("Who may promote", "--promote");
        var delete = OptionKinds.Text("Who may delete", "--delete");
        var approver = OptionKinds.Text("Who approves: human, agent:ID, or consensus:N registered agents", "--approver");
        var command = new Command("set", "Make a memory the standard of a namespace; with any rule, set its policy too") { name, id, parent, write, promote, delete, approver };
        return new(command, async session =>
        {
            var (asked, standard) = (MemoryRules.Namespace(session.Required(name)), MemoryRules.Id(session.Required(id)));
            var policy = (session.Value(write) ?? session.Value(promote) ?? session.Value(delete) ?? session.Value(approver)) is null
                ? null
                : Policy(session.Value(write), session.Value(promote), session.Value(delete), session.Value(approver));
            var service = await session.OpenAsync();
            await service.SetStandardAsync(asked, standard, session.Value(parent), policy, session.Write);
            if (session.Json)
            {
                session.Report.Object(writer =>
                {
                    if (policy is not null)
                    {
                        writer.WritePropertyName("governance");
                        StandardRoutes.Write(writer, policy);
                    }

                    writer.WriteString("namespace", asked);
                    if (session.Value(parent) is { } above)
                    {
                        writer.WriteString("parent", above);
                    }

                    writer.WriteBoolean("set", true);
                    writer.WriteString("standard_id", standard);
                });
            }
            else
            {
                session.Text.WriteLine($"standard of {asked}: {standard}");
            }

            return 0;
        });
    }

    private static CliCommand Clear()
    {
        var name = NamespaceArgument();
        return new(new Command("clear", "Take the standard of a namespace away, and its policy") { name }, async session =>
        {
            var asked = MemoryRules.Namespace(session.Required(name));
            var service = await session.OpenAsync();
            var cleared = await service.ClearStandardAsync(asked, session.Write);
            if (session.Json)
            {
                session.Report.Object(writer =>
                {
                    writer.WriteBoolean("cleared", cleared);
                    writer.WriteString("namespace", asked);
                });
            }
            else
            {
                session.Text.WriteLine(cleared ? $"cleared: {asked}" : $"no standard: {asked}");
            }

            return 0;
        });
    }

    /// <summary>What is not named is as where nothing is set.</summary>
    private static GovernancePolicy Policy(string? write, string? promote, string? delete, string? approver)
    {
        JsonNode who = approver?.Split(':', 2) switch
        {
            null or ["human"] => "human",
            ["agent", var agent] => new JsonObject { ["agent"] = agent },
            ["consensus", var count] when int.TryParse(count, NumberStyles.None, CultureInfo.InvariantCulture, out var voters) => new JsonObject { ["consensus"] = voters },
            _ => throw new MemoryException(ErrorKind.InvalidGovernance, $"invalid approver: {approver} (use human, agent:ID or consensus:N)"),
        };
        var policy = new JsonObject
        {
            ["approver"] = who,
            ["delete"] = delete ?? GovernancePolicy.NameOf(GovernancePolicy.Default.Delete),
            ["promote"] = promote ?? GovernancePolicy.NameOf(GovernancePolicy.Default.Promote),
            ["write"] = write ?? GovernancePolicy.NameOf(GovernancePolicy.Default.Write),
        };
        return GovernancePolicy.Parse(JsonSerializer.SerializeToElement(policy));
    }

    private static Argument<string> NamespaceArgument() => new("NAMESPACE") { Description = "The namespace; * stands for all" };
}
