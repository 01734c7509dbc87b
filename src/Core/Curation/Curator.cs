using System.Text;
using System.Text.Json;
using OrleansMemory.Core.Governance;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Core.Curation;

/// <summary>
/// Tidies a node's memories: puts away what has expired, tells as one what says nearly the same, archives what another memory is confirmed to contradict, and
/// moves priorities with use. Each change is one transaction with the record that undoes it, is judged by the namespace's policy as a write of
/// <see cref="Agent"/>, and is made only to what has not changed since it was looked at: a run that is cut off anywhere has done whole changes, and two that
/// meet do nothing twice. Memories of different authors, or of different scopes, are never told as one; a namespace's standard is left alone.
/// </summary>
public sealed class Curator
{
    public const string Agent = "ai:curator";

    private const string TitlePrefix = "[consolidated] ";
    private const int FewestBytes = 50;
    private const int PageRows = 500;

    /// <summary>Words that are compared at once; of a namespace that holds more, the memories of the highest priority.</summary>
    private const long WordsAtOnce = 4_000_000;

    private const int UsedAccesses = 10;
    private const int UsedDays = 7;
    private const int UnusedDays = 30;
    private const long SecondsPerDay = 86_400;

    private static readonly TimeSpan LeaseTime = TimeSpan.FromMinutes(1);

    private readonly MemoryNode _node;
    private readonly TimeProvider _time;
    private int _running;
    private CuratorReport? _last;

    internal Curator(MemoryNode node, TimeProvider time)
    {
        _node = node;
        _time = time;
    }

    /// <summary>Asked before a run and while it goes on; null: this node alone decides, as its operator says.</summary>
    public ICurationLease? Lease { get; set; }

    internal CuratorStatus Status(string node) => new(node, Volatile.Read(ref _running) != 0, Volatile.Read(ref _last));

    /// <summary>One run. What it changed stays when it is cancelled.</summary>
    /// <exception cref="MemoryException"><see cref="ErrorKind.AlreadyRunning"/>: here, or on another node.</exception>
    public async Task<CuratorReport> RunAsync(CuratorOrder order, WriteContext context, CancellationToken stopping = default)
    {
        order.Check();
        if (Interlocked.Exchange(ref _running, 1) != 0)
        {
            throw Busy();
        }

        try
        {
            if (!order.DryRun && Lease is { } lease && !await lease.TakeAsync(LeaseTime))
            {
                throw Busy();
            }

            try
            {
                var started = _time.GetTimestamp();
                var report = await new Run(_node, this, order, context with { AgentId = Agent, IfMatch = null, IdempotencyKey = null, Principal = null }, stopping).GoAsync();
                Instruments.CuratorSeconds.Record(_time.GetElapsedTime(started).TotalSeconds, new KeyValuePair<string, object?>("dry_run", order.DryRun ? "true" : "false"));
                Volatile.Write(ref _last, report);
                return report;
            }
            finally
            {
                await (order.DryRun ? Task.CompletedTask : Lease?.ReleaseAsync() ?? Task.CompletedTask);
            }
        }
        finally
        {
            Volatile.Write(ref _running, 0);
        }
    }

    private static MemoryException Busy() => new(ErrorKind.AlreadyRunning, "a run of the curator is under way");

    private sealed class Run(MemoryNode node, Curator owner, CuratorOrder order, WriteContext context, CancellationToken stopping)
    {
        private readonly List<string> _errors = [];
        private readonly string? _id = order.DryRun ? null : node.RunId();
        private readonly Timestamp _startedAt = Timestamp.Now(owner._time);
        private long _leasedAt = owner._time.GetTimestamp();
        private bool _isOver;
        private long _scanned;
        private long _eligible;
        private long _attempted;
        private long _skipped;
        private long _clusters;
        private long _consolidated;
        private long _forgotten;
        private long _adjusted;
        private long _records;

        private string Id => _id ?? "";

        public async Task<CuratorReport> GoAsync()
        {
            var expired = order.DryRun ? await node.CountExpiredAsync() : await node.CollectGarbageAsync();
            var standards = await node.StandardIdsAsync(stopping);
            foreach (var (@namespace, _) in await node.NamespacesAsync(stopping))
            {
                if (order.Covers(@namespace) && !_isOver)
                {
                    await CurateAsync(@namespace, standards);
                }
            }

            return new(
                _id, _startedAt, Timestamp.Now(owner._time), _scanned, _eligible, _attempted, _skipped, expired, _clusters, _consolidated, _forgotten, _adjusted, _records, _errors, order.DryRun);
        }

        private async Task CurateAsync(string @namespace, IReadOnlySet<string> standards)
        {
            var (memories, words) = (new List<Memory>(), 0L);
            string? cursor = null;
            do
            {
                stopping.ThrowIfCancellationRequested();
                var page = await node.ListAsync(new() { Namespace = @namespace, Limit = PageRows, Cursor = cursor }, stopping);
                foreach (var memory in page.Memories)
                {
                    _scanned++;
                    if (memory.Tier != Tier.Short && Encoding.UTF8.GetByteCount(memory.Content) >= FewestBytes && !standards.Contains(memory.Id))
                    {
                        _eligible++;
                        words += memory.Content.Length / 5;
                        memories.Add(memory);
                    }
                }

                cursor = page.NextCursor;
            }
            while (cursor is not null && words < WordsAtOnce);

            var gone = await RetireAsync(@namespace, memories);
            gone.UnionWith(await ConsolidateAsync(@namespace, [.. memories.Where(memory => !gone.Contains(memory.Id))]));
            await AdjustAsync(@namespace, memories.Where(memory => !gone.Contains(memory.Id)));
        }

        /// <summary>What says that another one, newer and no less sure, contradicts it.</summary>
        private async Task<HashSet<string>> RetireAsync(string @namespace, List<Memory> memories)
        {
            var gone = new HashSet<string>(StringComparer.Ordinal);
            var byId = memories.ToDictionary(static memory => memory.Id, StringComparer.Ordinal);
            foreach (var memory in memories)
            {
                if (ConfirmedAgainst(memory).Any(other => byId.TryGetValue(other, out var newer) && !gone.Contains(other) && newer.UpdatedAt > memory.UpdatedAt && newer.Confidence >= memory.Confidence)
                    && await DoAsync(@namespace, memory, version => new RetireCommand(memory.Id, version, Id)))
                {
                    gone.Add(memory.Id);
                    _forgotten++;
                }
            }

            return gone;
        }

        private async Task<HashSet<string>> ConsolidateAsync(string @namespace, List<Memory> memories)
        {
            var gone = new HashSet<string>(StringComparer.Ordinal);
            foreach (var alike in memories.GroupBy(static memory => (memory.Metadata.Text("agent_id"), memory.Metadata.Text(AgentIdentity.Key), Visibility.ScopeOf(memory.Metadata.Text("scope")))))
            {
                foreach (var cluster in NearDuplicates.Of([.. alike]))
                {
                    var text = TextOf(cluster);
                    if (Encoding.UTF8.GetByteCount(text) > MemoryLimits.ContentBytes)
                    {
                        continue;
                    }

                    _clusters++;
                    var draft = new ConsolidationDraft([.. cluster.Select(static memory => memory.Id)], TitleOf(cluster[0].Title), text, @namespace, cluster.Max(static memory => memory.Tier));
                    if (await MayAsync() && (order.DryRun || await TryAsync(@namespace, () => ConsolidateAsync(draft, cluster))))
                    {
                        gone.UnionWith(draft.Ids);
                        _consolidated += draft.Ids.Count;
                    }
                }
            }

            return gone;
        }

        private async Task ConsolidateAsync(ConsolidationDraft draft, IReadOnlyList<Memory> cluster)
        {
            var versions = new List<string>();
            foreach (var memory in cluster)
            {
                versions.Add(await VersionAsync(memory));
            }

            await node.ConsolidateAsync(draft, context, versions, Id);
        }

        /// <summary>The version of a memory that still says what was looked at.</summary>
        private async Task<string> VersionAsync(Memory memory)
        {
            var now = await node.GetAsync(memory.Id, stopping);
            return now.Memory.UpdatedAt == memory.UpdatedAt ? now.Version : throw new MemoryException(ErrorKind.PreconditionFailed, "a memory has changed meanwhile");
        }

        /// <summary>
        /// Used memories rise, unused ones sink: one step, and the next one not before a week or a month has passed since the priority was set last, by anybody.
        /// </summary>
        private async Task AdjustAsync(string @namespace, IEnumerable<Memory> memories)
        {
            foreach (var memory in memories)
            {
                if (_isOver || _skipped > 0)
                {
                    // There is more than this run may do: what else there is need not be looked up.
                    return;
                }

                var by = memory switch
                {
                    { AccessCount: >= UsedAccesses, LastAccessedAt: { } used } when used >= Before(UsedDays) => 1,
                    { AccessCount: 0 } when memory.CreatedAt <= Before(UnusedDays) => -1,
                    _ => 0,
                };
                if (by != 0 && await node.OwnPriorityAsync(memory.Id, stopping) is var (own, setAt) && own + by is >= MemoryLimits.MinPriority and <= MemoryLimits.MaxPriority
                    && setAt <= Before(by > 0 ? UsedDays : UnusedDays)
                    && await DoAsync(@namespace, memory, version => new AdjustPriorityCommand(memory.Id, version, by, Id)))
                {
                    _adjusted++;
                }
            }
        }

        private Timestamp Before(int days) => _startedAt.AddSeconds(-days * SecondsPerDay);

        private async Task<bool> DoAsync(string @namespace, Memory memory, Func<string, NamespaceCommand> command) =>
            await MayAsync() && (order.DryRun || await TryAsync(@namespace, async () => await node.RunAsync(@namespace, command(await VersionAsync(memory)), context)));

        /// <summary>Counts a change that was found; false: it is left to the next run.</summary>
        private async Task<bool> MayAsync()
        {
            stopping.ThrowIfCancellationRequested();
            if (_isOver || _attempted >= order.MostOperations)
            {
                _skipped++;
                return false;
            }

            if (!order.DryRun && owner.Lease is { } lease && owner._time.GetElapsedTime(_leasedAt) > LeaseTime / 3)
            {
                _leasedAt = owner._time.GetTimestamp();
                if (!await lease.TakeAsync(LeaseTime))
                {
                    _isOver = true;
                    Note("the lease went to another node");
                    return false;
                }
            }

            _attempted++;
            return true;
        }

        private async Task<bool> TryAsync(string @namespace, Func<Task> change)
        {
            try
            {
                await change();
                _records++;
                Instruments.CuratorOperations.Add(1);
                return true;
            }
            catch (MemoryException exception) when (exception.Kind.HttpStatus < 500)
            {
                // It is as it was: changed or gone meanwhile, or not the curator's to change.
                Note($"{@namespace}: {exception.Message}");
                return false;
            }
            catch (MemoryException exception)
            {
                // Too few nodes, or the store is away: this is no time to tidy.
                _isOver = true;
                Note($"{@namespace}: {exception.Message}");
                return false;
            }
        }

        private void Note(string error)
        {
            if (_errors.Count < CuratorReport.MostErrors && !_errors.Contains(error))
            {
                _errors.Add(error);
            }
        }

        private static IEnumerable<string> ConfirmedAgainst(Memory memory)
        {
            if (!memory.Metadata.Json.Contains("confirmed_contradictions", StringComparison.Ordinal))
            {
                return [];
            }

            using var document = JsonDocument.Parse(memory.Metadata.Json);
            return document.RootElement.TryGetProperty("confirmed_contradictions", out var ids) && ids.ValueKind == JsonValueKind.Array
                ? [.. ids.EnumerateArray().Where(static id => id.ValueKind == JsonValueKind.String).Select(static id => id.GetString()!)]
                : [];
        }

        private static string TitleOf(string title)
        {
            var told = title.StartsWith(TitlePrefix, StringComparison.Ordinal) ? title : TitlePrefix + title;
            return told.EnumerateRunes().Count() <= MemoryLimits.TitleCharacters ? told : string.Concat(told.EnumerateRunes().Take(MemoryLimits.TitleCharacters)).TrimEnd();
        }

        /// <summary>Every line that any of them says, once; those of the latest first.</summary>
        private static string TextOf(IReadOnlyList<Memory> cluster)
        {
            var said = new HashSet<string>(StringComparer.Ordinal);
            var lines = new List<string>();
            foreach (var line in cluster.OrderByDescending(static memory => memory.UpdatedAt).ThenBy(static memory => memory.Id, StringComparer.Ordinal).SelectMany(static memory => memory.Content.Split('\n')))
            {
                if (line.Trim() is { Length: > 0 } && said.Add(line.Trim()))
                {
                    lines.Add(line.TrimEnd());
                }
            }

            return string.Join('\n', lines);
        }
    }
}
