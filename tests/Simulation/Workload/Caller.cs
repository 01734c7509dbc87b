using OrleansMemory.Core;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Replication;
using OrleansMemory.Simulation.Checks;
using OrleansMemory.Simulation.Cluster;
using OrleansMemory.Simulation.World;

namespace OrleansMemory.Simulation.Workload;

/// <summary>
/// One agent: asks one thing after the other, of any node, and tells the checkers what it was answered. What it asks is drawn from
/// the seed and the number of the operation alone.
/// </summary>
internal sealed class Caller(int number, SimulatedCluster cluster, SharedKnowledge known, RunOptions options, TimeProvider time, bool races)
{
    /// <summary>After so long a caller gives up and knows nothing of what it asked for.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    private static readonly string[] Namespaces = ["a", "a/b", "c"];

    private readonly SimulatedWorld _world = cluster.World;
    private readonly string _agent = $"agent-{number}";
    private LogPosition? _token;

    private enum Ending
    {
        Answered,

        /// <summary>The node said no, and stored nothing.</summary>
        Refused,

        /// <summary>The node said that it holds the write, and too few others do.</summary>
        StoredLocally,

        /// <summary>No answer, or one that says that it does not know.</summary>
        Unknown,
    }

    public async Task RunAsync(IEnumerable<int> operations, double think)
    {
        foreach (var operation in operations)
        {
            var random = Seeds.Stream(options.Seed, "operation", operation);
            await Task.Delay(TimeSpan.FromMilliseconds(think * 2 * random.NextDouble()), time);
            if (!options.WithoutOperations.Contains(operation))
            {
                await OperateAsync(operation, random);
            }
        }
    }

    private Task OperateAsync(int operation, Random random)
    {
        var node = cluster.Nodes[random.Next(cluster.Nodes.Count)];
        return random.Next(100) switch
        {
            < 16 => StoreAsync(operation, random, node, $"title {random.Next(12)}"),
            < 28 => AddAsync(operation, random, node),
            < 32 => RetryAsync(operation, random, node),
            < 43 => UpdateAsync(operation, random, node),
            < 46 => RenameAsync(operation, random, node),
            < 52 => DeleteAsync(operation, random, node),
            < 54 => PromoteAsync(operation, random, node),
            < 58 => LinkAsync(operation, random, node),
            < 59 => ForgetAsync(operation, random, node),
            < 61 => ImportAsync(operation, random, node),
            < 63 => SyncAsync(operation, random, node),
            < 65 => StoreManyAsync(operation, random, node),
            < 72 => RegisterAsync(operation, random),
            < 82 => GetAsync(operation, random, node),
            < 88 => GetAtQuorumAsync(operation, random, node),
            < 93 => ListAsync(operation, random, node),
            < 99 => RecallAsync(operation, random, node),
            _ => SearchAsync(operation, random, node),
        };
    }

    private Task StoreAsync(int operation, Random random, SimulatedNode node, string title)
    {
        var draft = Draft(random, title, $"v{operation}");
        var context = Context(random) with { IdempotencyKey = random.Next(4) == 0 ? $"key-{operation}" : null };
        if (context.IdempotencyKey is not null)
        {
            known.Retryable.Add((node.Name, draft, context, null));
        }

        return WriteAsync(operation, $"store {title}", node, random, draft.Content, memory => memory.StoreAsync(draft, context), context.IdempotencyKey is not null);
    }

    /// <summary>Adds an element to the set: a title of its own that nobody changes.</summary>
    private async Task AddAsync(int operation, Random random, SimulatedNode node)
    {
        var element = $"element {operation}";
        var draft = new MemoryDraft { Title = element, Content = $"v{operation}", Namespace = "set", Tier = Tier.Long };
        if (await WriteAsync(operation, $"add {element}", node, random, draft.Content, memory => memory.StoreAsync(draft, new(_agent))) is { Durability: not Durabilities.BelowQuorum })
        {
            known.Set.Added(element, _world.Now);
            known.Elements.Add(element);
        }
    }

    /// <summary>Sends an earlier request once more, with its key, here or elsewhere.</summary>
    private async Task RetryAsync(int operation, Random random, SimulatedNode node)
    {
        if (known.Retryable.Count == 0)
        {
            return;
        }

        var index = random.Next(known.Retryable.Count);
        var (first, draft, context, id) = known.Retryable[index];
        var same = first.Length > 0 && random.Next(4) > 0;
        var target = same ? cluster.Nodes.First(each => each.Name == first) : node;
        if (target.Name != first)
        {
            // Two nodes that do not know of each other's request yet may each answer it.
            known.Retryable[index] = ("", draft, context, null);
        }

        // Its memory is deleted at the same time by way of another node, which tells this one too late.
        var other = races && id is not null && random.Next(2) == 0 ? cluster.Nodes[random.Next(cluster.Nodes.Count)] : target;
        var racing = other == target ? Task.CompletedTask : DeleteAsync(operation, random, other, id!, () => new(_agent, Quorum: "1"));
        var losses = target.Disk.Losses;
        if (await WriteAsync(operation, $"retry {context.IdempotencyKey} {draft.Title}", target, random, draft.Content, memory => memory.StoreAsync(draft, context), isKeyed: true) is { } receipt
            && target.Name == first && target.Disk.Losses == 0 && losses == 0)
        {
            if (id is not null && id != receipt.Memory.Id)
            {
                _world.Fail($"idempotency: {context.IdempotencyKey} made {id} and then {receipt.Memory.Id} on {first}");
            }

            known.Retryable[index] = (first, draft, context, receipt.Memory.Id);
        }

        await racing;
    }

    private Task UpdateAsync(int operation, Random random, SimulatedNode node)
    {
        if (known.Pick(random) is not { } target)
        {
            return Task.CompletedTask;
        }

        var patch = random.Next(5) switch
        {
            0 => new MemoryPatch { Priority = random.Next(1, 11), Content = $"v{operation}" },
            1 => new() { Tags = [$"t{random.Next(3)}"], Content = $"v{operation}", Confidence = random.Next(11) / 10.0 },
            2 => new() { Metadata = Metadata.Parse($$"""{"n":{{operation}}}"""), Content = $"v{operation}" },
            3 => new() { Tier = (Tier)random.Next(3), Content = $"v{operation}" },
            _ => new() { Content = $"v{operation}" },
        };
        var context = Context(random) with { IfMatch = random.Next(3) == 0 ? target.Version : null };
        return WriteAsync(operation, $"update {target.Id}", node, random, patch.Content, memory => memory.UpdateAsync(target.Id, patch, context));
    }

    private Task RenameAsync(int operation, Random random, SimulatedNode node)
    {
        if (known.Pick(random) is not { } target)
        {
            return Task.CompletedTask;
        }

        var patch = new MemoryPatch { Title = $"title {random.Next(12)}", Namespace = random.Next(3) == 0 ? Namespaces[random.Next(Namespaces.Length)] : null };
        return WriteAsync(operation, $"rename {target.Id}", node, random, content: null, memory => memory.UpdateAsync(target.Id, patch, Context(random)));
    }

    private Task DeleteAsync(int operation, Random random, SimulatedNode node) =>
        known.Pick(random) is { } target ? DeleteAsync(operation, random, node, target.Id, () => Context(random)) : Task.CompletedTask;

    private async Task DeleteAsync(int operation, Random random, SimulatedNode node, string id, Func<WriteContext> context)
    {
        if (await WriteAsync(operation, $"delete {id}", node, random, content: null, memory => memory.DeleteAsync(id, context())) is { Durability: not Durabilities.BelowQuorum } receipt)
        {
            cluster.Ledger.DeletesAcknowledged[receipt.Memory.Id] = (_world.Now, IsByMajority(receipt, node) ? node.Nodes : 0);
        }
    }

    private Task PromoteAsync(int operation, Random random, SimulatedNode node) => known.Pick(random) is { } target
        ? WriteAsync(operation, $"promote {target.Id}", node, random, content: null, memory => memory.PromoteAsync(target.Id, Context(random)))
        : Task.CompletedTask;

    private async Task LinkAsync(int operation, Random random, SimulatedNode node)
    {
        if (known.Pick(random) is not { } source || known.Pick(random) is not { } target)
        {
            return;
        }

        var losses = cluster.Ledger.Losses;
        var (_, receipt) = await AskAsync(operation, $"link {source.Id} {target.Id}", node, random, async memory =>
        {
            var linked = await memory.LinkAsync(source.Id, target.Id, "related_to", Context(random));
            cluster.Ledger.Answer(linked.Position, linked.Quorum, linked.Durability, node.QuorumWrites, losses, node.Nodes);
            return linked;
        });
        _token = receipt?.Position ?? _token;
    }

    private Task ForgetAsync(int operation, Random random, SimulatedNode node) =>
        AskAsync(operation, "forget", node, random, memory => memory.ForgetAsync(new(Namespaces[random.Next(Namespaces.Length)], null, (Tier)random.Next(3)), Context(random)));

    private async Task ImportAsync(int operation, Random random, SimulatedNode node)
    {
        var memories = Enumerable.Range(0, random.Next(1, 4)).Select(index => Given(operation, index, random)).ToList();
        var links = memories.Count > 1 ? (IReadOnlyList<Link>)[new(memories[0].Id, memories[1].Id, "supersedes", memories[0].CreatedAt)] : [];
        await WriteRowsAsync(operation, "import", node, random, [.. memories.Select(static memory => memory.Content)], memory => memory.ImportAsync(memories, links, new(), Context(random)));
    }

    private async Task SyncAsync(int operation, Random random, SimulatedNode node)
    {
        var memories = Enumerable.Range(0, random.Next(1, 4)).Select(index => Given(operation, index, random)).ToList();
        await AskAsync(operation, "sync", node, random, memory => memory.SyncAsync(memories, Context(random)));
    }

    private async Task StoreManyAsync(int operation, Random random, SimulatedNode node)
    {
        var drafts = Enumerable.Range(0, random.Next(1, 5)).Select(index => Draft(random, $"title {random.Next(12)}", $"v{operation}.{index}")).ToList();
        await WriteRowsAsync(operation, "store many", node, random, [.. drafts.Select(static draft => draft.Content)], memory => memory.StoreManyAsync(drafts, Context(random)));
    }

    /// <summary>Writes or reads one of a few memories that only one node is asked about: together those must look like one register each.</summary>
    private Task RegisterAsync(int operation, Random random)
    {
        var register = known.Registers[random.Next(known.Registers.Count)];
        var node = cluster.Nodes[register.Node % cluster.Nodes.Count];
        if (node.Disk.Losses > 0 || register.History.Count >= Register.Most)
        {
            return Task.CompletedTask;
        }

        var content = $"v{operation}";
        if (register.Seen is not { } seen || random.Next(6) == 0)
        {
            return PutAsync(operation, random, register, node, content);
        }

        if (races && random.Next(2) == 0)
        {
            // One of them is decided at once; the others wait together for its commit, and are decided in the next one.
            return Task.WhenAll(
                PutAsync(operation, random, register, node, $"{content}.0"),
                RemoveAsync(operation, random, register, node, seen.Id),
                ChangeAsync(operation, random, register, node, seen, $"{content}.1"),
                PutAsync(operation, random, register, node, $"{content}.2"),
                ChangeAsync(operation, random, register, node, seen, $"{content}.3"));
        }

        return random.Next(8) switch
        {
            < 3 => ChangeAsync(operation, random, register, node, seen, content),
            < 7 => ReadAsync(operation, random, register, node, seen.Id),
            _ => RemoveAsync(operation, random, register, node, seen.Id),
        };
    }

    private async Task PutAsync(int operation, Random random, Register register, SimulatedNode node, string content)
    {
        var began = _world.Now;
        var draft = new MemoryDraft { Title = register.Title, Namespace = "registers", Content = content, Tier = Tier.Long };
        var ((ending, _), stored) = await AskAsync(operation, $"put {register.Title}", node, random, memory => memory.StoreAsync(draft, new(_agent)));
        if (stored is not null)
        {
            register.Seen = new(stored.Memory.Id, stored.Version, content);
        }

        register.Add(began, ending switch { Ending.Unknown => null, _ => _world.Now }, ending == Ending.Refused, $"put {content}: {ending} {stored?.Memory.Id} created {stored?.Created}", state =>
            stored is null ? new(IsPossible: true, new(state.Id ?? RegisterState.SomeId, content))
            : stored.Created ? new(state.Id is null, new(stored.Memory.Id, content))
            : new(state.MayBe(stored.Memory.Id), new(stored.Memory.Id, content)));
    }

    private async Task ChangeAsync(int operation, Random random, Register register, SimulatedNode node, RegisterSight seen, string content)
    {
        var began = _world.Now;
        var ((ending, kind), receipt) = await AskAsync(
            operation, $"change {register.Title}", node, random, memory => memory.UpdateAsync(seen.Id, new() { Content = content }, new(_agent, IfMatch: seen.Version)));
        if (receipt is not null)
        {
            register.Seen = new(seen.Id, receipt.Version, content);
        }

        var failed = kind == ErrorKind.PreconditionFailed || kind == ErrorKind.NotFound;
        register.Add(began, ending == Ending.Unknown ? null : _world.Now, ending == Ending.Refused && !failed, $"change {seen.Id} from {seen.Content} to {content}: {ending} {kind}", state =>
        {
            var matches = state.MayBe(seen.Id) && state.Content == seen.Content;
            return kind == ErrorKind.PreconditionFailed ? new(state.MayBe(seen.Id) && !matches, state)
                : kind == ErrorKind.NotFound ? new(!state.IsSurely(seen.Id), state)
                : ending == Ending.Unknown && !matches ? new(IsPossible: true, state)
                : new(matches, new(seen.Id, content));
        });
    }

    private async Task RemoveAsync(int operation, Random random, Register register, SimulatedNode node, string id)
    {
        var began = _world.Now;
        register.Seen = null;
        var ((ending, kind), _) = await AskAsync(operation, $"remove {register.Title}", node, random, memory => memory.DeleteAsync(id, new(_agent)));
        register.Add(began, ending == Ending.Unknown ? null : _world.Now, ending == Ending.Refused && kind != ErrorKind.NotFound, $"remove {id}: {ending} {kind}", state =>
            kind == ErrorKind.NotFound ? new(!state.IsSurely(id), state)
            : state.MayBe(id) ? new(IsPossible: true, default)
            : new(ending == Ending.Unknown, state));
    }

    private async Task ReadAsync(int operation, Random random, Register register, SimulatedNode node, string id)
    {
        var began = _world.Now;
        var ((ending, kind), found) = await AskAsync(operation, $"read {register.Title}", node, random, memory => memory.GetAsync(id));
        if (ending != Ending.Answered && kind != ErrorKind.NotFound)
        {
            return;
        }

        register.Seen = found is null ? null : new(id, found.Version, found.Memory.Content);
        register.Add(began, _world.Now, isNothing: false, $"read {id}: {found?.Memory.Content ?? "none"}", state => found is null
            ? new(!state.IsSurely(id), state)
            : new(state.MayBe(id) && state.Content == found.Memory.Content, new(id, state.Content)));
    }

    private async Task GetAsync(int operation, Random random, SimulatedNode node)
    {
        var token = random.Next(2) == 0 ? _token : null;
        if (known.Pick(random) is not { } target)
        {
            return;
        }

        var (_, found) = await AskAsync(operation, $"get {target.Id} with {token}", node, random, async memory =>
        {
            if (token is { } position)
            {
                await memory.WaitForAsync(position);
                cluster.Ledger.Waited(node.Name, node.Disk.Tables, position);
            }

            return await memory.GetAsync(target.Id);
        });
        if (found is not null)
        {
            known.Remember(found.Memory.Id, found.Version);
        }
    }

    private async Task GetAtQuorumAsync(int operation, Random random, SimulatedNode node)
    {
        if (known.Pick(random) is not { } target)
        {
            return;
        }

        await AskAsync(operation, $"get {target.Id} at quorum", node, random, async memory =>
        {
            var began = _world.Now;
            try
            {
                return await memory.GetAtQuorumAsync(target.Id);
            }
            catch (MemoryException exception) when (exception.Kind != ErrorKind.NotFound)
            {
                began = TimeSpan.Zero;
                throw;
            }
            finally
            {
                // An answer, also that there is none, is judged.
                cluster.Ledger.ReadAtQuorum(node.Name, node.Disk.Tables, target.Id, began, node.Nodes);
            }
        });
    }

    private async Task ListAsync(int operation, Random random, SimulatedNode node)
    {
        var token = random.Next(2) == 0 ? _token : null;
        var began = _world.Now;
        var (_, page) = await AskAsync(operation, $"list with {token}", node, random, async memory =>
        {
            if (token is { } position)
            {
                await memory.WaitForAsync(position);
                cluster.Ledger.Waited(node.Name, node.Disk.Tables, position);
            }

            return await memory.ListAsync(new() { Namespace = "set", Limit = 1_000 });
        });
        if (page is not null)
        {
            known.Set.Read(began, page.Memories.Select(static memory => memory.Title).ToHashSet());
        }
    }

    private Task RecallAsync(int operation, Random random, SimulatedNode node) =>
        AskAsync(operation, "recall", node, random, memory => memory.RecallAsync(new() { Context = $"title {random.Next(12)} v{random.Next(Math.Max(operation, 1))}", Limit = 5 }));

    private Task SearchAsync(int operation, Random random, SimulatedNode node) =>
        AskAsync(operation, "search", node, random, memory => memory.SearchAsync(new() { Text = $"v{random.Next(Math.Max(operation, 1))}" }));

    private MemoryDraft Draft(Random random, string title, string content) => new()
    {
        Title = title,
        Content = content,
        Namespace = Namespaces[random.Next(Namespaces.Length)],
        Tier = (Tier)random.Next(3),
        TtlSeconds = random.Next(6) == 0 ? random.Next(1, 20) : null,
        Priority = random.Next(1, 11),
        Confidence = random.Next(11) / 10.0,
        Tags = random.Next(2) == 0 ? [] : [$"t{random.Next(3)}"],
        AgentId = _agent,
    };

    private Memory Given(int operation, int index, Random random)
    {
        var now = Timestamp.FromDateTimeOffset(MachineClock.True(_world.Now)).AddSeconds(random.Next(-20, 20));
        return new()
        {
            Id = random.Next(3) == 0 && known.Pick(random) is { } held ? held.Id : $"given-{random.Next(8)}",
            Tier = (Tier)random.Next(3),
            Namespace = Namespaces[random.Next(Namespaces.Length)],
            Title = $"title {random.Next(12)}",
            Content = $"v{operation}.{index}",
            Priority = random.Next(1, 11),
            Confidence = random.Next(11) / 10.0,
            Source = "import",
            AccessCount = random.Next(3) == 0 ? random.Next(20) : 0,
            CreatedAt = now.AddSeconds(-random.Next(100)),
            UpdatedAt = now,
            ExpiresAt = random.Next(4) == 0 ? now.AddSeconds(random.Next(1, 100)) : null,
        };
    }

    private WriteContext Context(Random random) => new(_agent, Quorum: random.Next(8) switch { 0 => "1", 1 => "all", 2 => "majority", _ => null });

    /// <summary>One write of one text, judged by its receipt.</summary>
    /// <param name="isKeyed">It may be a repetition, which is answered with what the memory is by now.</param>
    private async Task<WriteReceipt?> WriteAsync(int operation, string name, SimulatedNode node, Random random, string? content, Func<MemoryNode, Task<WriteReceipt>> write, bool isKeyed = false)
    {
        var (losses, began) = (cluster.Ledger.Losses, _world.Now);
        var token = random.Next(3) == 0 ? _token : null;
        var fate = content is null ? null : new FateSlot(cluster.Ledger.FatesOf(content));
        var ((ending, _), receipt) = await AskAsync(operation, name, node, random, async memory =>
        {
            if (token is { } position)
            {
                await memory.WaitForAsync(position);
                cluster.Ledger.Waited(node.Name, node.Disk.Tables, position);
            }

            try
            {
                var written = await write(memory);
                cluster.Ledger.Answer(written.Position, written.Quorum, written.Durability, node.QuorumWrites, losses, node.Nodes);
                return written;
            }
            catch (QuorumException exception) when (exception is { Outcome: QuorumException.StoredLocally, Written: WriteReceipt stored })
            {
                cluster.Ledger.AnswerStoredLocally(stored.Position);
                throw;
            }
        });
        fate?.Set(FateOf(ending));
        if (receipt is not null)
        {
            _token = receipt.Position;
            if (content is not null && receipt.Memory.Content != content && !isKeyed)
            {
                _world.Fail($"operation {operation} wrote {content} and was answered with {receipt.Memory.Content}");
            }

            if (content is not null && !isKeyed && IsByMajority(receipt, node))
            {
                cluster.Ledger.Written(receipt.Memory.Id, began, node.Nodes);
            }

            // Nothing but what adds to the set touches its elements.
            if (receipt.Version.Length > 0 && receipt.Memory.Namespace != "set")
            {
                known.Remember(receipt.Memory.Id, receipt.Version);
            }
        }

        return receipt;
    }

    private static bool IsByMajority(WriteReceipt receipt, SimulatedNode node) => receipt.Durability == Durabilities.Quorum && node.QuorumWrites * 2 > node.Nodes;

    private async Task WriteRowsAsync(
        int operation, string name, SimulatedNode node, Random random, IReadOnlyList<string> contents, Func<MemoryNode, Task<IReadOnlyList<RowOutcome>>> write)
    {
        var losses = cluster.Ledger.Losses;
        var fates = contents.Select(content => new FateSlot(cluster.Ledger.FatesOf(content))).ToList();
        var ((ending, _), outcomes) = await AskAsync(operation, name, node, random, async memory =>
        {
            var written = await write(memory);
            foreach (var row in written)
            {
                if (row.Receipt is { } receipt)
                {
                    cluster.Ledger.Answer(receipt.Position, receipt.Quorum, receipt.Durability, node.QuorumWrites, losses, node.Nodes);
                }
                else if (row.Error is QuorumException { Outcome: QuorumException.StoredLocally, Written: WriteReceipt stored })
                {
                    cluster.Ledger.AnswerStoredLocally(stored.Position);
                }
            }

            return written;
        });
        for (var index = 0; index < fates.Count; index++)
        {
            fates[index].Set(outcomes is null ? FateOf(ending) : outcomes[index] is { Receipt: { } receipt } ? Fate.Acknowledged : FateOf(EndingOf(outcomes[index].Error!)));
            if (outcomes?[index].Error is { } error)
            {
                _world.Record($"{_agent} {operation}: row {index}: {error.Kind} {error.Message}");
            }

            if (outcomes?[index].Receipt is { } written)
            {
                _token = written.Position;
                known.Remember(written.Memory.Id, written.Version);
            }
        }
    }

    private static Fate FateOf(Ending ending) => ending switch
    {
        Ending.Answered => Fate.Acknowledged,
        Ending.Refused => Fate.NotStored,
        Ending.StoredLocally => Fate.StoredLocally,
        _ => Fate.Unknown,
    };

    private static Ending EndingOf(MemoryException exception) => exception switch
    {
        QuorumException { Outcome: QuorumException.StoredLocally } => Ending.StoredLocally,
        QuorumException { Outcome: QuorumException.Unknown } or UncertainWriteException => Ending.Unknown,
        _ => Ending.Refused,
    };

    /// <summary>Sends a request to a node and waits for its answer, as a client does: either may be lost with the process or the patience.</summary>
    private async Task<((Ending Ending, ErrorKind? Kind) Outcome, T? Answer)> AskAsync<T>(
        int operation, string name, SimulatedNode node, Random random, Func<MemoryNode, Task<T>> ask)
    {
        _world.Record($"{_agent} {operation}: {name} at {node.Name}");
        // What was thrown travels as a value: a run throws often, and each step of the way would throw it anew.
        var answered = new TaskCompletionSource<(T? Answer, Exception? Thrown)>();
        var sent = false;
        _world.After(TimeSpan.FromMilliseconds(random.NextDouble()), () =>
        {
            if (node is not { IsUp: true, Process: { } serving, Memory: { } memory })
            {
                answered.TrySetResult((default, new LinkException("nobody listens", isDown: true)));
                return;
            }

            sent = true;
            void Died() => answered.TrySetResult((default, new LinkException("the connection broke", isDown: false)));
            serving.OnDeath(Died);
            serving.Post(async () =>
            {
                (T?, Exception?) answer;
                try
                {
                    answer = (await ask(memory), null);
                }
                catch (MemoryException exception)
                {
                    answer = (default, exception);
                }

                _world.After(TimeSpan.FromMilliseconds(random.NextDouble()), () => answered.TrySetResult(answer));
                serving.ForgetOnDeath(Died);
            });
        });
        var impatient = _world.Schedule(Patience, process: null, () => answered.TrySetResult((default, new TimeoutException())));
        var (given, thrown) = await answered.Task;
        impatient.Cancel();
        switch (thrown)
        {
            case null:
                _world.Record($"{_agent} {operation}: answered");
                return ((Ending.Answered, null), given);
            case MemoryException exception:
                _world.Record($"{_agent} {operation}: {exception.Kind} {(exception as QuorumException)?.Outcome} {(exception as QuorumException)?.Quorum.Reason}");
                return ((EndingOf(exception), exception.Kind), default);
            default:
                _world.Record($"{_agent} {operation}: {(sent ? "no answer" : "not sent")}");
                return ((sent ? Ending.Unknown : Ending.Refused, null), default);
        }
    }

    /// <summary>One attempt at a text: unknown until it is over.</summary>
    private sealed class FateSlot
    {
        private readonly List<Fate> _fates;
        private readonly int _index;

        public FateSlot(List<Fate> fates)
        {
            _fates = fates;
            _index = fates.Count;
            fates.Add(Fate.Unknown);
        }

        public void Set(Fate fate) => _fates[_index] = fate;
    }
}
