using OrleansMemory.Core.Memories;

namespace OrleansMemory.Core.Replication;

/// <summary>
/// A node's door for writes: the one writer, then the quorum. What the writer committed stays committed whatever the quorum
/// says, and the answer says so.
/// </summary>
/// <param name="compared">Ends when this node may write: it was compared with its peers, or they did not answer for long enough; and it is no old copy.</param>
public sealed class ReplicatedWriter(CommandWriter writer, QuorumWriter quorum, PeerSession session, ReplicaSetSettings settings, TimeProvider time, Func<Task> compared)
{
    private static readonly TimeSpan LongestComparison = TimeSpan.FromSeconds(5);

    public ReplicaSetSettings Settings => settings;

    /// <summary>Of the requests that carry a key, by the id that follows from it.</summary>
    public KeyedTurns Keyed { get; } = new();

    /// <summary>Decides, commits, and waits for the replicas.</summary>
    /// <param name="wanted">Nodes that must hold the write; null: as the namespaces that it writes to ask.</param>
    /// <param name="hints">What the decision will most likely read.</param>
    /// <param name="epoch">The activation that decides; one that a later one has replaced decides nothing.</param>
    /// <exception cref="QuorumException">Too few replicas answered; it says what became of the write.</exception>
    /// <exception cref="MemoryException">The decision was no; nothing was stored.</exception>
    public async Task<(T Value, QuorumOutcome Outcome)> RunAsync<T>(
        Func<WriteSession, ValueTask<T>> decide, int? wanted, ReadHints? hints = null, NamespaceEpoch? epoch = null)
    {
        await ComparedAsync(wanted);
        if (session.IsClockAhead)
        {
            throw Failed(
                new(0, wanted ?? settings.QuorumWrites, QuorumReasons.ClockSkew),
                QuorumException.NotStored,
                $"this node's clock is {session.Ahead.TotalSeconds:F0} s ahead of its peers'; set it right, or write to another node");
        }

        var standard = settings.QuorumWrites;
        var decided = await DecideAsync(
            async session =>
            {
                await EnterAsync(session, epoch, wanted ?? standard);
                var value = await decide(session);

                // Read where it is decided, so that a write that follows a change of the policy waits for what the policy asks for.
                standard = await StandardAsync(session);
                return value;
            },
            wanted ?? standard,
            epoch is null ? hints : new(hints?.Ids ?? [], hints?.Names ?? [], [.. hints?.Entries ?? [], EntryBodies.EpochKey(epoch.Namespace)]));
        if (decided.Last < decided.First || settings.Nodes == 1)
        {
            return (decided.Value, new(1, 1, null));
        }

        var started = time.GetTimestamp();
        var outcome = (await quorum.WaitAsync(decided.Log, decided.First, decided.Last, wanted ?? standard, settings.Timeout, decided.Memories)) with { Standard = standard };
        Instruments.QuorumSeconds.Record(time.GetElapsedTime(started).TotalSeconds);
        return outcome.IsMet
            ? (decided.Value, outcome)
            : throw Failed(outcome, QuorumException.StoredLocally, $"{outcome.Got} of {outcome.Needed} nodes hold the write ({outcome.Reason})", written: decided.Value);
    }

    /// <summary>
    /// Nodes that must hold a write of a namespace: what the nearest policy above it says. No fewer than the set's W, which quorum reads
    /// and recovering nodes count on, and no more than there are.
    /// </summary>
    public int Standard(IEnumerable<PolicyBody> policies) =>
        Math.Clamp(policies.Select(static policy => policy.QuorumWrites).FirstOrDefault(static writes => writes is not null) ?? 0, settings.QuorumWrites, settings.Nodes);

    /// <summary>A namespace and those above it, the nearest first.</summary>
    public static IEnumerable<string> Chain(string @namespace)
    {
        for (var end = @namespace.Length; end > 0; end = @namespace.LastIndexOf('/', end - 1))
        {
            yield return @namespace[..end];
        }
    }

    /// <summary>The policies that a write of a namespace will read.</summary>
    public IEnumerable<EntryKey> PolicyKeys(string @namespace) => settings.Nodes == settings.QuorumWrites ? [] : Chain(@namespace).Select(EntryBodies.PolicyKey);

    private async ValueTask<int> StandardAsync(WriteSession session)
    {
        var standard = settings.QuorumWrites;
        if (standard == settings.Nodes)
        {
            return standard;
        }

        foreach (var @namespace in session.Namespaces)
        {
            var policies = new List<PolicyBody>();
            foreach (var name in Chain(@namespace))
            {
                if (await session.FindEntryAsync(EntryBodies.PolicyKey(name)) is { Live: true } entry)
                {
                    policies.Add(EntryBodies.Policy(entry.Body));
                }
            }

            standard = Math.Max(standard, Standard(policies));
        }

        return standard;
    }

    /// <summary>The comparison ends in a short time, unless the store is away when the node starts.</summary>
    private async Task ComparedAsync(int? wanted)
    {
        try
        {
            await compared().WaitAsync(LongestComparison, time);
        }
        catch (MemoryException exception) when (exception is not QuorumException && ReasonOf(exception.Kind) is { } reason)
        {
            throw Failed(new(0, wanted ?? settings.QuorumWrites, reason), QuorumException.NotStored, exception.Message, exception);
        }
        catch (TimeoutException exception)
        {
            throw Failed(new(0, wanted ?? settings.QuorumWrites, QuorumReasons.StoreFailed), QuorumException.NotStored, "the store has not answered since this node started", exception);
        }
    }

    /// <summary>Where it is decided, so that no later epoch comes between.</summary>
    private static async ValueTask EnterAsync(WriteSession session, NamespaceEpoch? epoch, int needed)
    {
        if (epoch is null)
        {
            return;
        }

        if ((await session.FindEntryAsync(EntryBodies.EpochKey(epoch.Namespace)))?.Stamp != epoch.Stamp)
        {
            throw Failed(
                new(0, needed, QuorumReasons.Fenced), QuorumException.NotStored, $"another activation decides for the namespace {epoch.Namespace} now; retry");
        }

        session.Epoch = epoch.Number;
    }

    /// <summary>What a receipt says of a write that reached a quorum.</summary>
    public string DurabilityOf(QuorumOutcome outcome) =>
        settings.Nodes == 1 ? Durabilities.Local
        : outcome.Needed >= outcome.Standard ? Durabilities.Quorum
        : Durabilities.BelowQuorum;

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

    /// <summary>A node among others answers for a store that will not take a write as for a quorum: the caller may write elsewhere.</summary>
    private async Task<Decided<T>> DecideAsync<T>(Func<WriteSession, ValueTask<T>> decide, int needed, ReadHints? hints)
    {
        try
        {
            return await writer.DecideAsync(decide, hints);
        }
        catch (MemoryException exception) when (settings.Nodes > 1 && ReasonOf(exception.Kind) is not null)
        {
            var outcome = exception is UncertainWriteException ? QuorumException.Unknown : QuorumException.NotStored;
            throw Failed(new(0, needed, ReasonOf(exception.Kind)), outcome, exception.Message, exception);
        }
    }

    private static string? ReasonOf(ErrorKind kind) =>
        kind == ErrorKind.Draining ? QuorumReasons.Draining
        : kind == ErrorKind.StoreFailed || kind == ErrorKind.StoreFull ? QuorumReasons.StoreFailed
        : null;

    private static QuorumException Failed(QuorumOutcome quorum, string outcome, string message, Exception? inner = null, object? written = null)
    {
        Instruments.QuorumFailures.Add(1, new KeyValuePair<string, object?>("reason", quorum.Reason));
        return new(quorum, outcome, message, inner) { Written = written };
    }
}
