using OrleansMemory.Core.Governance;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Cli;

/// <summary>What the rules of a namespace say to a change, as scripts know it.</summary>
internal static class GovernanceAnswer
{
    /// <summary>The change waits for approval: no failure.</summary>
    /// <returns>The exit status.</returns>
    public static int Write(Session session, PendingException pending)
    {
        if (session.Json)
        {
            session.Report.Json(writer =>
            {
                writer.WriteStartObject();
                writer.WriteString("action", pending.ActionType);
                if (pending.MemoryId is { } memory)
                {
                    writer.WriteString("memory_id", memory);
                }
                else
                {
                    writer.WriteString("namespace", pending.Namespace);
                }

                writer.WriteString("pending_id", pending.PendingId);
                writer.WriteString("reason", pending.Message);
                writer.WriteString("status", PendingStatuses.Pending);
                writer.WriteEndObject();
            });
        }
        else
        {
            session.Text.WriteLine($"{pending.ActionType} queued for approval: pending_id={pending.PendingId} {(pending.MemoryId is { } id ? $"id={id}" : $"ns={pending.Namespace}")}");
        }

        return pending.Kind.ExitCode;
    }

    /// <summary>The change was refused, in the words of the rule: <c>store denied by governance: why</c>.</summary>
    /// <returns>The exit status.</returns>
    public static int Write(Session session, MemoryException denied)
    {
        session.Error.WriteLine(denied.Message);
        return denied.Kind.ExitCode;
    }
}
