using OrleansMemory.Core.Memories;

namespace OrleansMemory.Core.Replication;

/// <summary>
/// A node's door for writes: the one writer, then the quorum. What the writer committed stays committed whatever the quorum
/// says, and the answer says so.
/// </summary>
/// <param name="compared">Ends when writes may begin: a clock was compared with a peer's, or none answered for long enough.</param>
public sealed class ReplicatedWriter(CommandWriter writer, QuorumWriter quorum, PeerSession session, ReplicaSetSettings settings, Task compared)
{
    public ReplicaSetSettings Settings => settings;

    /// <summary>Decides, commits, and waits for the replicas.</summary>
    /// <param name="wanted">Nodes that must hold the write; null: as configured.</param>
    /// <exception cref="QuorumException">Too few replicas answered; it says what became of the write.</exception>
    /// <exception cref="MemoryException">The decision was no; nothing was stored.</exception>
    public async Task<(T Value, QuorumOutcome Outcome)> RunAsync<T>(Func<WriteSession, ValueTask<T>> decide, int? wanted)
    {
        await compared;
        if (session.IsClockAhead)
        {
            throw new QuorumException(
                new(0, settings.QuorumWrites, QuorumReasons.ClockSkew),
                QuorumException.NotStored,
                $"this node's clock is {session.Ahead.TotalSeconds:F0} s ahead of its peers'; set it right, or write to another node");
        }

        var decided = await writer.DecideAsync(decide);
        var needed = wanted ?? settings.QuorumWrites;
        if (decided.Last < decided.First || settings.Nodes == 1)
        {
            return (decided.Value, new(1, 1, null));
        }

        var outcome = await quorum.WaitAsync(decided.First, decided.Last, needed, settings.Timeout);
        return outcome.IsMet
            ? (decided.Value, outcome)
            : throw new QuorumException(outcome, QuorumException.StoredLocally, $"{outcome.Got} of {outcome.Needed} nodes hold the write ({outcome.Reason})") { Written = decided.Value };
    }

    /// <summary>Nodes for a request's word: 1, majority, all, or a number; null for none.</summary>
    /// <exception cref="MemoryException"><see cref="ErrorKind.InvalidQuorum"/></exception>
    public int? Parse(string? word) => word switch
    {
        null => null,
        "majority" => settings.Majority,
        "all" => settings.Nodes,
        _ when int.TryParse(word, System.Globalization.NumberStyles.None, System.Globalization.CultureInfo.InvariantCulture, out var number)
            && number >= 1 && number <= settings.Nodes => number,
        _ => throw new MemoryException(ErrorKind.InvalidQuorum, $"X-Quorum must be 1, majority, all or a number up to {settings.Nodes}"),
    };
}
