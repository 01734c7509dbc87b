using System.Diagnostics.CodeAnalysis;

namespace OrleansMemory.Core.Replication;

/// <summary>What a node says of itself to its peers, and what it makes of what they say.</summary>
[SuppressMessage("Design", "CA1001", Justification = "A source without timers and wait handles holds nothing to dispose; a late greeting may still cancel it.")]
public sealed class PeerSession(IMemoryStore store, CommandWriter writer, ReplicaSetSettings settings, ClockComparison clock, TimeProvider time, ReplicaCondition condition)
{
    private readonly Lock _gate = new();
    private readonly HashSet<string> _lost = new(StringComparer.Ordinal);
    private readonly HashSet<string> _reached = new(StringComparer.Ordinal);
    private CancellationTokenSource _knock = new();

    /// <summary>Replaced as a whole, so that it can be read without the gate.</summary>
    private volatile Dictionary<string, PeerHello> _hellos = new(StringComparer.Ordinal);
    private readonly TaskCompletionSource _compared = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _everybodyHeard = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Cancelled when a node greets this one: a pump that pauses before it tries again need pause no longer.</summary>
    public CancellationToken Knock => Volatile.Read(ref _knock).Token;

    /// <summary>Ends when every peer was heard since this node started.</summary>
    public Task EverybodyHeard => _everybodyHeard.Task;

    /// <summary>How far this node's clock is ahead of its peers'; negative when it is behind.</summary>
    public TimeSpan Ahead => clock.Ahead;

    /// <summary>True while this node must originate nothing: its clock is too far ahead of its peers'.</summary>
    public bool IsClockAhead => Ahead > Replica.MaxClockSkew;

    /// <summary>False while what the nodes say shows two different sets: more nodes than they count, or different counts.</summary>
    public bool MembersAgree
    {
        get
        {
            lock (_gate)
            {
                return _hellos.Values.All(hello => hello.Nodes == settings.Nodes)
                    && _hellos.Values.SelectMany(static hello => hello.Members).Append(store.Log.Node).Distinct().Count() <= settings.Nodes;
            }
        }
    }

    /// <summary>Nodes that were heard, by address.</summary>
    public IReadOnlyDictionary<string, PeerHello> Hellos => _hellos;

    /// <exception cref="QuorumException">The nodes do not agree: no quorum of them means anything.</exception>
    public void RequireAgreement()
    {
        if (!MembersAgree)
        {
            throw new QuorumException(
                new(0, settings.QuorumReads, QuorumReasons.Unreachable), QuorumException.NotStored, "nodes disagree about who belongs to the set; finish the change of members first");
        }
    }

    public async Task<PeerHello> HelloAsync()
    {
        // The clock is drawn from the writer before the vector is read: rows after it are stamped above it.
        // Before the first comparison nothing is drawn: a wrong clock would carry the stamps with it.
        var head = _compared.Task.IsCompleted ? await writer.DrawClockAsync() : await writer.ReadHeadAsync();
        var vector = await store.ReadVectorAsync();
        List<string> members;
        lock (_gate)
        {
            members = [.. _hellos.Values.Select(static hello => hello.Log.Node).Append(store.Log.Node).Distinct().Order(StringComparer.Ordinal)];
        }

        return new(
            store.Log,
            head.Sequence,
            head.Clock,
            time.GetUtcNow().ToUnixTimeMilliseconds(),
            settings.Nodes,
            settings.QuorumWrites,
            members,
            condition.IsRecovering,
            condition.IsReadable,
            condition.Floors.Own,
            condition.Floors.Common,
            vector,
            condition.Refused,
            condition.LogStart);
    }

    /// <summary>Answers a greeting.</summary>
    public Task<PeerHello> AnswerAsync(PeerHello greeting)
    {
        condition.Greeted(greeting);
        bool isNews;
        lock (_gate)
        {
            isNews = _lost.Contains(greeting.Log.Node) || !_hellos.Values.Any(hello => hello.Log == greeting.Log);
        }

        if (isNews)
        {
            Interlocked.Exchange(ref _knock, new()).Cancel();
        }

        return HelloAsync();
    }

    /// <summary>A node stopped answering.</summary>
    public void Lost(string address)
    {
        lock (_gate)
        {
            if (_hellos.TryGetValue(address, out var hello))
            {
                _lost.Add(hello.Log.Node);
            }
        }
    }

    /// <summary>Takes an answer in.</summary>
    /// <param name="roundTrip">From asking to hearing: the peer read its clock in between.</param>
    /// <exception cref="PeerRefusedException">The peer must not count.</exception>
    public async Task HeardAsync(string address, PeerHello hello, TimeSpan roundTrip)
    {
        lock (_gate)
        {
            if (hello.Log.Node == store.Log.Node)
            {
                throw new PeerRefusedException($"{address} is this node itself (node id {store.Log.Node}); take it out of --quorum-peers, or give each node its own --node-id");
            }

            foreach (var (other, known) in _hellos)
            {
                if (other != address && known.Log.Node == hello.Log.Node)
                {
                    throw new PeerRefusedException($"{address} and {other} are the same node ({hello.Log.Node}); name it once in --quorum-peers");
                }
            }

            _hellos = new(_hellos, StringComparer.Ordinal) { [address] = hello };
            _lost.Remove(hello.Log.Node);
        }

        clock.Heard(address, hello.UnixMilliseconds, roundTrip);
        if (hello.HighestOf(store.Log) > (await store.ReadHeadAsync()).Sequence)
        {
            // The store is an older copy of what this node once was: its numbers would name other rows than they did.
            condition.FoundOlder();
            await writer.RenewLogAsync();
        }

        condition.Heard(address, hello, _hellos);
        _compared.TrySetResult();
        lock (_gate)
        {
            _reached.Add(address);
            var needed = settings.Peers;
            Faults.Replace(Fault.OnePeerCompared, ref needed, 1);
            if (_reached.Count >= needed)
            {
                _everybodyHeard.TrySetResult();
            }
        }
    }
}
