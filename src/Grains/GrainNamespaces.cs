using OrleansMemory.Core;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Grains;

/// <summary>Finds the engine of a namespace at its grain.</summary>
public sealed class GrainNamespaces : INamespaceDirectory
{
    /// <summary>
    /// Beyond the time for the quorum: an activation may have to be made first, on a machine that is busy. A silo that dies is declared
    /// dead sooner, and the call ends with that.
    /// </summary>
    private static readonly TimeSpan CallSlack = TimeSpan.FromSeconds(6);

    /// <summary>
    /// Beyond the time for the quorum, until a write that may be repeated is. To a client of the cluster nobody tells that the silo
    /// which had its call is dead.
    /// </summary>
    private static readonly TimeSpan RepeatSlack = TimeSpan.FromSeconds(1);

    private static readonly TimeSpan RetryPause = TimeSpan.FromMilliseconds(20);
    private static readonly TimeSpan LostPause = TimeSpan.FromMilliseconds(100);

    private readonly ClusterConnection _cluster;
    private readonly ReplicaSetSettings _settings;
    private readonly TimeProvider _time;
    private readonly WriteLanes _lanes;

    /// <param name="settings">Of the cluster; the time that a quorum may take bounds how long a write waits for its grain.</param>
    public GrainNamespaces(ClusterConnection cluster, ReplicaSetSettings settings, TimeProvider time)
    {
        _cluster = cluster;
        _settings = settings;
        _time = time;
        _lanes = new(async (@namespace, batch) =>
            await (cluster.Grains ?? throw NotConnected()).GetGrain<INamespaceGrain>(@namespace).WriteAsync(batch), time);
    }

    public string? Problem => _cluster.Problem;

    public string? Warning => _cluster.Warning;

    public INamespaceEngine Find(string @namespace) => new Engine(this, @namespace);

    /// <exception cref="MemoryException">What the engine throws; what could be sent again was, for as long as a silo takes to be declared dead.</exception>
    internal async Task<WriteAnswer> RunAsync(string @namespace, WriteCommand command)
    {
        var started = _time.GetTimestamp();
        var limit = _settings.Timeout + CallSlack;
        var bytes = WireJson.Encode(command);
        while (true)
        {
            WriteAnswer answer;
            try
            {
                var left = limit - _time.GetElapsedTime(started);
                var patience = _settings.Timeout + RepeatSlack;
                answer = await AskAsync(@namespace, command.Context.Quorum, bytes, command.IsRepeatable && patience < left ? patience : left);
            }
            catch (QuorumException exception) when (
                command.IsRepeatable && exception.InnerException is OrleansException or TimeoutException && _time.GetElapsedTime(started) + LostPause < limit)
            {
                // Its silo is gone, or does not answer; what it stored the next one finds.
                await Task.Delay(LostPause, _time);
                continue;
            }

            if (answer.Error is null)
            {
                return answer;
            }

            // The activation that was asked is over: the next one decides.
            if (answer.Error is { Quorum.Reason: QuorumReasons.Fenced, Outcome: var outcome } && (outcome == QuorumException.NotStored || command.IsRepeatable)
                && _time.GetElapsedTime(started) < _settings.Timeout)
            {
                await Task.Delay(RetryPause, _time);
                continue;
            }

            throw answer.ToException();
        }
    }

    private async Task<WriteAnswer> AskAsync(string @namespace, string? quorum, byte[] command, TimeSpan left)
    {
        if (_cluster.Grains is null)
        {
            throw NotConnected();
        }

        try
        {
            // A caller that goes away cancels nothing, and neither does this deadline.
            var answer = await _lanes.SendAsync(@namespace, quorum, command).WaitAsync(left > TimeSpan.Zero ? left : TimeSpan.Zero, _time);
            return WireJson.DecodeAnswer(answer.Answer);
        }
        catch (TimeoutException exception)
        {
            throw Failed(QuorumReasons.Timeout, QuorumException.Unknown, $"the silo that decides for the namespace {@namespace} did not answer in time", exception);
        }
        catch (OrleansException exception)
        {
            throw Failed(
                QuorumReasons.Unreachable, QuorumException.Unknown, $"the silo that decides for the namespace {@namespace} cannot be reached: {exception.Message}", exception);
        }
    }

    private QuorumException NotConnected() =>
        Failed(QuorumReasons.Unreachable, QuorumException.NotStored, _cluster.Problem ?? "the cluster cannot be reached", null);

    private QuorumException Failed(string reason, string outcome, string message, Exception? inner) =>
        new(new(0, _settings.QuorumWrites, reason), outcome, message, inner);

    private sealed class Engine(GrainNamespaces namespaces, string @namespace) : INamespaceEngine
    {
        public async Task<WriteReceipt> StoreAsync(MemoryDraft draft, WriteContext context) =>
            (await RunAsync(new StoreCommand(draft) { Context = context })).Receipt!;

        public async Task<WriteReceipt> ImportAsync(Memory memory, WriteContext context) =>
            (await RunAsync(new ImportCommand(memory) { Context = context })).Receipt!;

        public async Task<SyncOutcome> SyncAsync(Memory memory, WriteContext context)
        {
            var answer = (await RunAsync(new SyncCommand(memory) { Context = context })).Sync!;
            return new(answer.Changed, answer.Position);
        }

        public async Task<WriteReceipt> UpdateAsync(string id, MemoryPatch patch, WriteContext context) =>
            (await RunAsync(new UpdateCommand(id, patch) { Context = context })).Receipt!;

        public async Task<WriteReceipt> DeleteAsync(string id, WriteContext context) =>
            (await RunAsync(new DeleteCommand(id) { Context = context })).Receipt!;

        public async Task<WriteReceipt> PromoteAsync(string id, WriteContext context) =>
            (await RunAsync(new PromoteCommand(id) { Context = context })).Receipt!;

        public async Task<LinkReceipt> LinkAsync(string sourceId, string targetId, string relation, Timestamp? createdAt, WriteContext context) =>
            (await RunAsync(new LinkCommand(sourceId, targetId, relation, createdAt) { Context = context })).Link!;

        public async Task<long> ForgetAsync(IReadOnlyList<string> ids, WriteContext context) =>
            (await RunAsync(new ForgetCommand(ids) { Context = context })).Count;

        public Task SetQuorumAsync(int? writes, WriteContext context) => RunAsync(new SetQuorumCommand(writes) { Context = context });

        public async Task<CommandResult> RunAsync(NamespaceCommand command, WriteContext context) =>
            (await RunAsync(new RunCommand(command) { Context = context })).Result!;

        private Task<WriteAnswer> RunAsync(WriteCommand command) => namespaces.RunAsync(@namespace, command);
    }
}
