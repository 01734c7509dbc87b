using System.CommandLine;
using OrleansMemory.Api.Routes;
using OrleansMemory.Cli.Options;
using OrleansMemory.Cli.Output;
using OrleansMemory.Core.Governance;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Cli.Commands;

/// <summary>Changes that wait for approval.</summary>
internal static class PendingCommands
{
    private const int DefaultRows = 100;

    private static readonly string[] Statuses = [PendingStatuses.Pending, PendingStatuses.Approved, PendingStatuses.Rejected];

    public static CliCommand Create() => CliCommand.Group("pending", "List, approve or reject changes that wait for approval", [List(), Approve(), Reject()]);

    private static CliCommand List()
    {
        var status = OptionKinds.Text($"{string.Join(", ", Statuses)}; without it all", "--status");
        var limit = OptionKinds.Number($"Rows at most [default: {DefaultRows}]", 0, int.MaxValue, "--limit");
        return new(new Command("list", "List pending actions and what became of them, latest first") { status, limit }, async session =>
        {
            var service = await session.OpenAsync();
            var actions = await service.PendingAsync(session.Value(status), session.Value(limit) ?? DefaultRows);
            if (session.Json)
            {
                session.Report.Object(writer =>
                {
                    writer.WriteNumber("count", actions.Count);
                    writer.WriteStartArray("pending");
                    foreach (var action in actions)
                    {
                        PendingRoutes.Write(writer, action);
                    }

                    writer.WriteEndArray();
                });
            }
            else if (actions.Count == 0)
            {
                session.Text.WriteLine("no pending actions");
            }
            else
            {
                foreach (var action in actions)
                {
                    session.Text.WriteLine($"[{Rows.Short(action.Id)}] {action.Status} ns={action.Namespace} action={action.ActionType} by={action.RequestedBy} ({action.RequestedAt})");
                }

                session.Text.WriteLine($"{actions.Count} pending action(s)");
            }

            return 0;
        });
    }

    private static CliCommand Approve()
    {
        var id = IdArgument();
        return new(new Command("approve", "Consent to a pending action; the last consent that is needed carries it out") { id }, async session =>
        {
            if (await VoteAsync(session, session.Required(id), approve: true) is not { } outcome)
            {
                return 1;
            }

            var action = outcome.Action;
            if (session.Json)
            {
                session.Report.Object(writer => PendingRoutes.WriteOutcome(writer, outcome));
            }
            else if (action.Status == PendingStatuses.Approved)
            {
                session.Text.WriteLine($"approved + executed: {action.Id} (by {action.DecidedBy})");
            }
            else
            {
                session.Text.WriteLine($"approval recorded: {action.Id} ({outcome.Votes}/{outcome.Needed} consensus, not yet met)");
            }

            return 0;
        });
    }

    private static CliCommand Reject()
    {
        var id = IdArgument();
        return new(new Command("reject", "Refuse a pending action") { id }, async session =>
        {
            if (await VoteAsync(session, session.Required(id), approve: false) is not { } outcome)
            {
                return 1;
            }

            if (session.Json)
            {
                session.Report.Object(writer => PendingRoutes.WriteOutcome(writer, outcome));
            }
            else
            {
                session.Text.WriteLine($"rejected: {outcome.Action.Id} (by {outcome.Action.DecidedBy})");
            }

            return 0;
        });
    }

    /// <returns>Null: the vote does not count, and standard error says why.</returns>
    private static async Task<VoteOutcome?> VoteAsync(Session session, string id, bool approve)
    {
        var named = MemoryRules.Id(id);
        var service = await session.OpenAsync();
        try
        {
            return await service.VoteAsync(named, approve, session.Write);
        }
        catch (MemoryException exception) when (exception.Kind == ErrorKind.NotFound || exception.Kind == ErrorKind.Forbidden)
        {
            session.Error.WriteLine(exception.Message);
            return null;
        }
    }

    private static Argument<string> IdArgument() => new("ID") { Description = "Full id of the pending action" };
}
