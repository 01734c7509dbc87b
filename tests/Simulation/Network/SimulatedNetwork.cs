using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Replication;
using OrleansMemory.Simulation.World;

namespace OrleansMemory.Simulation.Network;

/// <summary>How messages from one machine to another fare. One way: the answers have their own.</summary>
public sealed class Wire
{
    public bool IsCut { get; set; }

    /// <summary>The slowest message, in milliseconds; the spread reorders.</summary>
    public double Slowest { get; set; } = 1;

    public double Loss { get; set; }

    public double Duplication { get; set; }

    public void Mend()
    {
        IsCut = false;
        Slowest = 1;
        Loss = 0;
        Duplication = 0;
    }
}

/// <summary>The machines as the network reaches them.</summary>
public sealed class SimulatedNetwork(SimulatedWorld world)
{
    private readonly Dictionary<(string From, string To), Wire> _wires = [];
    private readonly Dictionary<string, Host> _hosts = new(StringComparer.Ordinal);

    public IEnumerable<Wire> Wires => _wires.Values;

    public SimulatedWorld World => world;

    public Wire Between(string from, string to)
    {
        if (!_wires.TryGetValue((from, to), out var wire))
        {
            _wires[(from, to)] = wire = new();
        }

        return wire;
    }

    /// <summary>A node serves at the address from now on, until its process dies.</summary>
    public void Listen(string address, SimulatedProcess process, Func<ReplicaEndpoint?> endpoint) => _hosts[address] = new(process, endpoint);

    /// <summary>Who serves there; null when nobody does.</summary>
    internal Host? At(string address) => _hosts.TryGetValue(address, out var host) && !host.Process.IsDead ? host : null;

    /// <summary>Carries a message, once, twice or not at all.</summary>
    /// <returns>False when it is lost.</returns>
    internal bool Send(string from, string to, Action deliver)
    {
        var wire = Between(from, to);
        if (wire.IsCut || world.Chance(wire.Loss))
        {
            return false;
        }

        world.After(world.Between(0.05, wire.Slowest), deliver);
        if (world.Chance(wire.Duplication))
        {
            world.After(world.Between(0.05, wire.Slowest * 4), deliver);
        }

        return true;
    }

    internal sealed record Host(SimulatedProcess Process, Func<ReplicaEndpoint?> Endpoint);
}

/// <summary>
/// A link over the simulated network. Questions and answers travel as the bytes of <see cref="LinkCodec"/>, so nothing is shared
/// between nodes; a lost message is silence, as behind a firewall, or a reset connection.
/// </summary>
public sealed class SimulatedLink(SimulatedNetwork network, string from, string to, SimulatedProcess caller) : IReplicaLink
{
    /// <summary>As over HTTP: a call takes no longer, whatever its caller allows.</summary>
    private static readonly TimeSpan CallTimeout = TimeSpan.FromSeconds(30);

    private delegate Task<PooledBytes> Answer(ReplicaEndpoint endpoint, ReadOnlyMemory<byte> question);

    public string Address => to;

    public Task<PeerHello> GreetAsync(PeerHello mine, CancellationToken cancellation) => AskAsync(
        LinkCodec.Encode(mine),
        static async (endpoint, question) => LinkCodec.Encode(await endpoint.GreetAsync(LinkCodec.DecodeHello(question))),
        LinkCodec.DecodeHello,
        cancellation);

    public Task<IReadOnlyList<ApplyOutcome>> ApplyAsync(IReadOnlyList<Mutation> batch, CancellationToken cancellation) => AskAsync(
        LinkCodec.Encode(batch),
        static async (endpoint, question) => LinkCodec.Encode(await endpoint.ApplyAsync(LinkCodec.DecodeBatch(question))),
        LinkCodec.DecodeOutcomes,
        cancellation);

    public Task<DigestSnapshot> ReadDigestsAsync(long floor, CancellationToken cancellation) => AskAsync(
        LinkCodec.Encode(floor),
        static async (endpoint, question) => LinkCodec.Encode(await endpoint.ReadDigestsAsync(LinkCodec.DecodeFloor(question), CancellationToken.None)),
        LinkCodec.DecodeSnapshot,
        cancellation);

    public Task<RowHashPage> ReadHashesAsync(IReadOnlyCollection<DigestKey> buckets, string? after, CancellationToken cancellation) => AskAsync(
        LinkCodec.Encode(buckets, after),
        static async (endpoint, question) =>
        {
            var (asked, place) = LinkCodec.DecodeHashesQuestion(question);
            return LinkCodec.Encode(await endpoint.ReadHashesAsync(asked, place, CancellationToken.None));
        },
        LinkCodec.DecodeHashes,
        cancellation);

    public async Task<IReadOnlyList<ReplicatedRow>> ReadRowsAsync(IReadOnlyList<RowKey> keys, CancellationToken cancellation)
    {
        var (rows, _) = await AskAsync(
            LinkCodec.Encode(keys),
            static async (endpoint, question) =>
            {
                var asked = LinkCodec.DecodeKeys(question);
                return LinkCodec.Encode(await endpoint.ReadRowsAsync(asked, CancellationToken.None), asked.Count);
            },
            LinkCodec.DecodeRows,
            cancellation);
        return rows;
    }

    private async Task<T> AskAsync<T>(PooledBytes question, Answer answer, Func<ReadOnlyMemory<byte>, T> decode, CancellationToken cancellation)
    {
        var bytes = question.Memory.ToArray();
        question.Dispose();
        network.World.Record(bytes);
        var call = new Call(network, from, to, caller);
        using var cancelled = cancellation.UnsafeRegister(static state => ((Call)state!).Cancel(), call);
        var late = network.World.Schedule(CallTimeout, caller, () => call.Fail($"{to} did not answer in time", isDown: false));
        try
        {
            call.Start(endpoint => answer(endpoint, bytes));
            return decode(await call.Answered);
        }
        catch (MemoryException exception)
        {
            throw new LinkException($"{to} gave an answer that cannot be read: {exception.Message}", isDown: false, exception);
        }
        catch (OperationCanceledException)
        {
            throw new OperationCanceledException(cancellation);
        }
        finally
        {
            late.Cancel();
        }
    }

    /// <summary>One question and its answer, each a message of its own.</summary>
    private sealed class Call(SimulatedNetwork network, string from, string to, SimulatedProcess caller)
    {
        private readonly TaskCompletionSource<ReadOnlyMemory<byte>> _answered = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Task<ReadOnlyMemory<byte>> Answered => _answered.Task;

        public void Cancel() => _answered.TrySetCanceled();

        public void Fail(string message, bool isDown) => _answered.TrySetException(new LinkException(message, isDown));

        public void Start(Func<ReplicaEndpoint, Task<PooledBytes>> answer)
        {
            if (!network.Send(from, to, () => Deliver(answer)) && network.World.Chance(0.3))
            {
                network.World.After(network.World.Between(1, 50), () => Reset("was cut off"));
            }
        }

        private void Deliver(Func<ReplicaEndpoint, Task<PooledBytes>> answer)
        {
            if (network.At(to) is not { } host)
            {
                Back(() => Fail($"nothing listens at {to}", isDown: true));
                return;
            }

            void Died() => Back(() => Reset("died"));
            void Answer(Action arrive) => Back(() =>
            {
                if (host.Process.IsForgotten)
                {
                    Reset("died");
                }
                else
                {
                    arrive();
                }
            });
            host.Process.OnDeath(Died);
            host.Process.Post(async () =>
            {
                if (caller.IsForgotten)
                {
                    return;
                }

                PooledBytes? answered = null;
                var problem = "is starting";
                try
                {
                    if (host.Endpoint() is { } endpoint)
                    {
                        answered = await answer(endpoint);
                    }
                }
                catch (MemoryException exception)
                {
                    problem = exception.Message;
                }

                host.Process.ForgetOnDeath(Died);
                if (answered is null)
                {
                    Answer(() => Fail($"{to} refused: {problem}", isDown: false));
                    return;
                }

                var bytes = answered.Memory.ToArray();
                answered.Dispose();
                network.World.Record(bytes);
                Answer(() => _answered.TrySetResult(bytes));
            });
        }

        private void Back(Action arrive)
        {
            if (!network.Send(to, from, Arrive) && network.World.Chance(0.3))
            {
                network.World.After(network.World.Between(1, 50), () => Reset("broke off its answer"));
            }

            void Arrive()
            {
                if (!caller.IsDead)
                {
                    arrive();
                }
            }
        }

        private void Reset(string what) => Fail($"{to} {what}", isDown: false);
    }
}
