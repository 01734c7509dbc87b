using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Text.Json;
using OrleansMemory.Gate.Faults;

namespace OrleansMemory.Gate.Nodes;

/// <summary>
/// The nodes of one cluster as children of this process, n1, n2 and so on, counted from 0 here. Each keeps its address for as long
/// as the set lives. They all end when this process does, however that ends.
/// </summary>
public sealed class NodeSet : IAsyncDisposable
{
    private const int StartTries = 3;

    private static readonly TimeSpan StopDeadline = TimeSpan.FromSeconds(45);
    private static readonly TimeSpan StartDeadline = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan StartPause = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan PollInterval = TimeSpan.FromMilliseconds(20);
    /// <summary>With which a silo ends that hears that the others declared it dead.</summary>
    private const int DeclaredDead = 75;

    private static readonly TimeSpan AnswerDeadline = TimeSpan.FromSeconds(2);

    private readonly NodesPlan _plan;

    /// <summary>Dead members of another set are none of this one's.</summary>
    private readonly string _clusterId = $"gate-{Guid.NewGuid():n}"[..16];

    private readonly Node[] _nodes;
    private readonly LinkProxy?[,] _links;
    private readonly SharedDoor[] _doors;
    private readonly ConcurrentQueue<string> _crashes = new();
    private readonly HttpClient _http = new(new SocketsHttpHandler { UseProxy = false }) { Timeout = AnswerDeadline };

    private NodeSet(NodesPlan plan, IReadOnlyList<SmallDisk> disks)
    {
        _plan = plan;
        var silos = plan.Kind == NodesKind.Silo ? plan.Count : 0;
        var ports = FreePorts.Take(plan.Count + (2 * silos));
        _links = new LinkProxy?[plan.Count, plan.Count];
        for (var from = 0; from < plan.Count && plan.WithLinks; from++)
        {
            for (var to = 0; to < plan.Count; to++)
            {
                _links[from, to] = from == to ? null : new();
            }
        }

        _doors = silos > 0 && plan.WithLinks ? [.. Enumerable.Range(0, plan.Count).Select(to => new SharedDoor(RunningProcesses, process => LinkOf(process, to)))] : [];
        _nodes = [.. Enumerable.Range(0, plan.Count).Select(number => new Node(number, ports, disks.Count > 0 ? disks[number] : null, this))];
    }

    public NodesKind Kind => _plan.Kind;

    public int Count => _nodes.Length;

    /// <summary>Starts all nodes; they listen when the task completes, and need not be ready yet.</summary>
    /// <exception cref="GateException">A program is missing, or a node did not start: its own last words. Nothing is left running.</exception>
    public static async Task<NodeSet> StartAsync(NodesPlan plan, CancellationToken cancellation = default)
    {
        Check(plan);
        Directory.CreateDirectory(plan.Folder);
        if (plan.MembershipUrl is { } members)
        {
            Command.Run(plan.Om, ["cluster", "init"], ("OM_CLUSTER_DB", members), ("OM_NO_CONFIG", "1"));
        }

        var disks = new List<SmallDisk>();
        try
        {
            for (var node = 0; node < plan.Count && plan.WithSmallDisks; node++)
            {
                disks.Add(await SmallDisk.MountAsync(Path.Combine(plan.Folder, $"{NameOf(node)}.disk")));
            }

            for (var attempt = 1; ; attempt++)
            {
                cancellation.ThrowIfCancellationRequested();
                var nodes = new NodeSet(plan, disks);
                try
                {
                    await Task.WhenAll(nodes._nodes.Select(static node => node.StartAsync()));
                    cancellation.ThrowIfCancellationRequested();
                    return nodes;
                }
                catch (NodeFailedException exception)
                {
                    // Between being found free and being taken, a port may have gone to somebody else.
                    await nodes.EndAsync();
                    if (attempt == StartTries)
                    {
                        throw new GateException(exception.Message, exception);
                    }
                }
                catch
                {
                    await nodes.EndAsync();
                    throw;
                }
            }
        }
        catch
        {
            foreach (var disk in disks)
            {
                await disk.DisposeAsync();
            }

            throw;
        }
    }

    public static string NameOf(int node) => string.Create(CultureInfo.InvariantCulture, $"n{node + 1}");

    public Uri AddressOf(int node) => _nodes[node].Address;

    /// <summary>The file; its log and index are beside it.</summary>
    public string DatabaseOf(int node) => _nodes[node].Plan.Database;

    /// <summary>The file that the node's log is added to, over all its starts.</summary>
    public string LogOf(int node) => _nodes[node].Plan.LogPath!;

    /// <summary>Of the process that was started last.</summary>
    public int ProcessIdOf(int node) => _nodes[node].Process.ProcessId;

    /// <summary>Also when it is suspended.</summary>
    public bool IsRunning(int node) => _nodes[node].IsRunning;

    /// <summary>How often the node ended by itself and was started again by <see cref="ReviveAsync"/>.</summary>
    public int RevivalsOf(int node) => _nodes[node].Revivals;

    /// <summary>
    /// Ends that nobody asked for, and that were not clean, a text each. A silo that was declared dead ends as it should, and a node on a small
    /// disk may end when that is full.
    /// </summary>
    public IReadOnlyList<string> Crashes => [.. _crashes];

    /// <summary>From one node's calls to another node; null when they call each other directly.</summary>
    public LinkProxy? Link(int from, int to) => _links[from, to];

    /// <summary>Null unless the nodes have clocks of their own.</summary>
    public FakeClock? ClockOf(int node) => _nodes[node].Clock;

    /// <summary>Null unless the nodes have disks of their own.</summary>
    public SmallDisk? DiskOf(int node) => _nodes[node].Disk;

    /// <summary>Starts a node that is down, as a supervisor does: again, when it fails, for up to a minute. It listens when the task completes.</summary>
    /// <exception cref="NodeFailedException">It does not start.</exception>
    public async Task StartNodeAsync(int node)
    {
        var started = TimeProvider.System.GetTimestamp();
        while (true)
        {
            try
            {
                await _nodes[node].StartAsync();
                return;
            }
            catch (NodeFailedException) when (TimeProvider.System.GetElapsedTime(started) < StartDeadline)
            {
                await Task.Delay(StartPause);
            }
        }
    }

    /// <summary>SIGKILL, to the end of the process; nothing when it is down.</summary>
    public Task KillAsync(int node) => KillAsync([node]);

    /// <summary>SIGKILL to several nodes, one right after the other.</summary>
    public async Task KillAsync(IReadOnlyList<int> nodes)
    {
        foreach (var node in nodes)
        {
            _nodes[node].IsWanted = false;
            _nodes[node].Kill();
        }

        foreach (var node in nodes)
        {
            await _nodes[node].LeaveAsync();
        }
    }

    /// <summary>Lets the node drain; one that takes longer than 45 s is killed.</summary>
    /// <returns>Its exit status; 0 when it drained.</returns>
    public async Task<int> StopNodeAsync(int node)
    {
        _nodes[node].IsWanted = false;
        var status = await _nodes[node].Process.StopAsync(StopDeadline);
        if (status != 0)
        {
            NoteEnd(node, status, "told to end");
        }

        await _nodes[node].LeaveAsync();
        return status;
    }

    /// <summary>SIGSTOP: it runs no more, and its connections stay open.</summary>
    public Task SuspendAsync(int node) => _nodes[node].SuspendAsync();

    /// <summary>SIGCONT; nothing when the node has ended.</summary>
    public Task ResumeAsync(int node) => _nodes[node].ResumeAsync();

    /// <summary>Whether the node takes requests, hears every other and counts for quorum reads.</summary>
    public async Task<bool> IsReadyAsync(int node) => await LackingAsync(node) is null;

    /// <summary>
    /// Waits until every node is ready. One that ended by itself is started again, as a supervisor does: a silo that was declared dead
    /// ends, and so does a node whose disk failed.
    /// </summary>
    /// <exception cref="TimeoutException">One is not ready in time; it says what is lacking.</exception>
    /// <exception cref="NodeFailedException">One does not start any more.</exception>
    public async Task WaitReadyAsync(TimeSpan deadline, CancellationToken cancellation = default)
    {
        var started = TimeProvider.System.GetTimestamp();
        for (var node = 0; node < Count;)
        {
            cancellation.ThrowIfCancellationRequested();

            // Whichever it is: the one that is waited for may wait for it.
            await ReviveAsync();
            if (await LackingAsync(node) is not { } lacking)
            {
                node++;
                continue;
            }

            if (TimeProvider.System.GetElapsedTime(started) > deadline)
            {
                throw new TimeoutException(string.Create(CultureInfo.InvariantCulture, $"{NameOf(node)} is not ready after {deadline.TotalSeconds:0.#} s: {lacking}"));
            }

            await Task.Delay(PollInterval, cancellation);
        }
    }

    /// <summary>Starts each node again that ended by itself.</summary>
    /// <exception cref="NodeFailedException">One does not start any more.</exception>
    public async Task ReviveAsync()
    {
        for (var node = 0; node < Count; node++)
        {
            if (_nodes[node] is { IsWanted: true, IsRunning: false })
            {
                _nodes[node].Revivals++;
                NoteEnd(node, await _nodes[node].Process.Ended, "by itself");
                await StartNodeAsync(node);
            }
        }
    }

    private void NoteEnd(int node, int status, string how)
    {
        if (!(Kind == NodesKind.Silo && status == DeclaredDead) && !_plan.WithSmallDisks)
        {
            _crashes.Enqueue(string.Create(CultureInfo.InvariantCulture, $"{NameOf(node)}, {how}: exit status {status}"));
        }
    }

    /// <summary>Takes the disk of a node that is down: it starts as a new one.</summary>
    public Task ReplaceByEmptyAsync(int node)
    {
        foreach (var file in FilesOf(node))
        {
            File.Delete(file);
        }

        return Task.CompletedTask;
    }

    /// <summary>Copies the database of a node that is down aside, in the place of an earlier copy.</summary>
    public Task CopyDatabaseAsync(int node)
    {
        var copy = CopyOf(node);
        if (Directory.Exists(copy))
        {
            Directory.Delete(copy, recursive: true);
        }

        Directory.CreateDirectory(copy);
        foreach (var file in FilesOf(node))
        {
            File.Copy(file, Path.Combine(copy, Path.GetFileName(file)));
        }

        return Task.CompletedTask;
    }

    /// <summary>Puts the copy in the place of what a node has that is down.</summary>
    /// <exception cref="GateException">No copy was taken.</exception>
    public async Task RestoreCopyAsync(int node)
    {
        var copy = CopyOf(node);
        if (!Directory.Exists(copy))
        {
            throw new GateException($"no copy of the database of {NameOf(node)} was taken");
        }

        await ReplaceByEmptyAsync(node);
        foreach (var file in Directory.GetFiles(copy))
        {
            File.Copy(file, Path.Combine(Path.GetDirectoryName(DatabaseOf(node))!, Path.GetFileName(file)));
        }
    }

    /// <summary>Kills all nodes. The folder stays.</summary>
    public async ValueTask DisposeAsync()
    {
        await EndAsync();
        foreach (var disk in _nodes.Select(static node => node.Disk).OfType<SmallDisk>())
        {
            await disk.DisposeAsync();
        }
    }

    private static void Check(NodesPlan plan)
    {
        var silo = plan.Kind == NodesKind.Silo ? plan.Silo ?? throw new GateException("silos need the program om-silo") : null;
        if (Array.Find([plan.Om, silo], static program => program is not null && !File.Exists(program)) is { } missing)
        {
            throw new GateException($"there is no program {missing}");
        }

        var lacking = (plan is { Kind: NodesKind.Silo, WithLinks: true } ? SocketOwner.WhyNot : null) ?? (plan.WithClocks ? FakeClock.Missing : null) ?? (plan.WithSmallDisks ? SmallDisk.WhyNot : null);
        if (lacking is not null)
        {
            throw new GateException(lacking);
        }
    }

    private List<int> RunningProcesses() => [.. _nodes.Where(static node => node.IsRunning).Select(static node => node.Process.ProcessId)];

    private LinkProxy? LinkOf(int process, int to)
    {
        var from = Array.FindIndex(_nodes, node => node.IsRunning && node.Process.ProcessId == process);
        return from < 0 ? null : _links[from, to];
    }

    private string CopyOf(int node) => Path.Combine(_plan.Folder, $"{NameOf(node)}.copy");

    private IEnumerable<string> FilesOf(int node)
    {
        if (IsRunning(node))
        {
            throw new InvalidOperationException($"{NameOf(node)} runs");
        }

        var database = DatabaseOf(node);
        return Directory.GetFiles(Path.GetDirectoryName(database)!, Path.GetFileName(database) + "*").Where(static file => !file.EndsWith(".lock", StringComparison.Ordinal));
    }

    /// <summary>Why a node is not ready; null when it is.</summary>
    private async Task<string?> LackingAsync(int node)
    {
        if (!IsRunning(node))
        {
            return "it is down";
        }

        try
        {
            using var ready = await _http.GetAsync(new Uri(AddressOf(node), "/readyz"));
            if (ready.StatusCode != HttpStatusCode.OK)
            {
                return await ready.Content.ReadAsStringAsync();
            }

            var text = await _http.GetStringAsync(new Uri(AddressOf(node), "/api/v1/cluster"));
            using var body = JsonDocument.Parse(text);
            return body.RootElement.GetProperty("recovering").GetBoolean() ? "it is recovering"
                : body.RootElement.GetProperty("peers").EnumerateArray().Count(static peer => peer.GetProperty("up").GetBoolean()) < Count - 1 ? $"it does not hear every other: {text}"
                : null;
        }
        catch (Exception exception) when (exception is HttpRequestException or OperationCanceledException or JsonException or KeyNotFoundException)
        {
            return $"no answer: {exception.Message}";
        }
    }

    private async Task EndAsync()
    {
        foreach (var node in _nodes)
        {
            node.IsWanted = false;
            node.Kill();
        }

        foreach (var node in _nodes)
        {
            await node.LeaveAsync();
        }

        foreach (var door in _doors)
        {
            await door.DisposeAsync();
        }

        foreach (var link in _links)
        {
            if (link is not null)
            {
                await link.DisposeAsync();
            }
        }

        _http.Dispose();
    }

    /// <summary>One place in the cluster, and the process that serves it or none.</summary>
    private sealed class Node
    {
        /// <summary>
        /// A shell's wait for the end of <c>kill -STOP</c>: one thread takes the signal, and on a busy machine the others answer until it runs.
        /// Where there is no <c>/proc</c> it waits for nothing.
        /// </summary>
        private const string AllStopped = "while grep -qsvE '\\) [TtXZ] ' /proc/\"$1\"/task/*/stat; do :; done";

        private readonly List<LinkProxy> _incoming;
        private readonly SharedDoor? _door;
        private readonly int _siloPort;
        private NodeProcess? _process;
        private Guard? _suspended;
        private bool _isOpen;

        public Node(int number, int[] ports, SmallDisk? disk, NodeSet nodes)
        {
            var plan = nodes._plan;
            var name = NameOf(number);
            Disk = disk;
            Clock = plan.WithClocks ? new(Path.Combine(plan.Folder, $"{name}.clock"), isCached: true) : null;
            Address = UrlOf(ports[number]);
            _incoming = [.. Enumerable.Range(0, plan.Count).Select(from => nodes._links[from, number]).OfType<LinkProxy>()];
            List<string> options = [];
            if (plan.Count > 1)
            {
                options.AddRange(["--quorum-writes", plan.QuorumWrites.ToString(CultureInfo.InvariantCulture)]);
            }

            if (plan.Kind == NodesKind.Silo)
            {
                options.AddRange(["--cluster-nodes", string.Join(',', Enumerable.Range(0, plan.Count).Select(NameOf))]);
                _siloPort = ports[plan.Count + number];
                options.AddRange(["--silo-port", _siloPort.ToString(CultureInfo.InvariantCulture)]);
                options.AddRange(["--gateway-port", ports[(2 * plan.Count) + number].ToString(CultureInfo.InvariantCulture)]);
                options.AddRange(["--cluster-id", nodes._clusterId]);
                if (plan.WithLinks)
                {
                    // What a silo tells the others is what stands in front of it.
                    _door = nodes._doors[number];
                    options.AddRange(["--advertise", string.Create(CultureInfo.InvariantCulture, $"127.0.0.1:{_door.Port}")]);
                }
            }
            else if (plan.Count > 1)
            {
                var peers = Enumerable.Range(0, plan.Count).Where(peer => peer != number).Select(peer => nodes._links[number, peer]?.Port ?? ports[peer]);
                options.AddRange(["--quorum-peers", string.Join(',', peers.Select(static port => UrlOf(port).GetLeftPart(UriPartial.Authority)))]);
            }

            Plan = new(
                plan.Kind == NodesKind.Silo ? [plan.Silo!] : [plan.Om, "serve"],
                name,
                ports[number],
                Path.Combine(disk?.Folder ?? plan.Folder, $"{name}.db"),
                [.. options, .. plan.ServeOptions],
                LogPath: Path.Combine(plan.Folder, $"{name}.log"))
            {
                ClusterDatabase = plan.Kind == NodesKind.Silo ? plan.MembershipUrl ?? Path.Combine(plan.Folder, "cluster.db") : null,
                Variables = [.. Clock?.Environment ?? [], .. VariablesOf(plan)],
            };
        }

        public NodePlan Plan { get; }

        public Uri Address { get; }

        public FakeClock? Clock { get; }

        public SmallDisk? Disk { get; }

        /// <summary>It is down only when it ended by itself.</summary>
        public bool IsWanted { get; set; }

        public int Revivals { get; set; }

        public NodeProcess Process => _process ?? throw new InvalidOperationException($"{Plan.Name} was not started");

        public bool IsRunning => _process is { Ended.IsCompleted: false };

        public async Task StartAsync()
        {
            if (IsRunning)
            {
                throw new InvalidOperationException($"{Plan.Name} runs");
            }

            await LeaveAsync();
            _process = await NodeProcess.StartAsync(Plan);
            IsWanted = true;
            if (_door is not null)
            {
                _door.Open(_siloPort);
            }
            else
            {
                _incoming.ForEach(link => link.Open(Plan.Port));
            }

            _isOpen = true;
        }

        public void Kill() => _process?.Kill();

        /// <summary>A suspended process would outlive this one: it does not see that its input ends.</summary>
        public async Task SuspendAsync() =>
            _suspended = await Guard.StartAsync($"kill -STOP \"$1\" && {{ {AllStopped}; echo; }}", "kill -CONT \"$1\"", Process.ProcessId.ToString(CultureInfo.InvariantCulture));

        public async Task ResumeAsync()
        {
            if (_suspended is { } suspended)
            {
                _suspended = null;
                await suspended.DisposeAsync();
            }
        }

        /// <summary>Waits for the end of a process that was told to end, and refuses connections as its machine would.</summary>
        public async Task LeaveAsync()
        {
            if (_process is not null)
            {
                await _process.DisposeAsync();
            }

            await ResumeAsync();
            if (_isOpen)
            {
                _isOpen = false;
                if (_door is not null)
                {
                    await _door.CloseAsync();
                    _incoming.ForEach(static link => link.Reset());
                    return;
                }

                foreach (var link in _incoming)
                {
                    await link.CloseAsync();
                }
            }
        }

        private static IEnumerable<(string Name, string Value)> VariablesOf(NodesPlan plan)
        {
            if (plan.FaultName is { } fault)
            {
                yield return ("OM_FAULT", fault);
            }

            if (plan.WithShortMemory)
            {
                yield return ("OM_SHORT_MEMORY", "1");
            }
        }

        private static Uri UrlOf(int port) => new(string.Create(CultureInfo.InvariantCulture, $"http://127.0.0.1:{port}"));
    }
}
