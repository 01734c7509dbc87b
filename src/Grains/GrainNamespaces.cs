using OrleansMemory.Core;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Grains;

/// <summary>Finds the engine of a namespace at its grain.</summary>
/// <param name="settings">Of the cluster; the time that a quorum may take bounds how long a write waits for its grain.</param>
public sealed class GrainNamespaces(ClusterConnection cluster, ReplicaSetSettings settings, TimeProvider time) : INamespaceDirectory
{
    /// <summary>
    /// Beyond the time for the quorum: an activation may have to be made first, on a machine that is busy. A silo that dies is declared
    /// dead sooner, and the call ends with that.
    /// </summary>
    private static readonly TimeSpan CallSlack = TimeSpan.FromSeconds(6);

    private static readonly TimeSpan RetryPause = TimeSpan.FromMilliseconds(20);

    public string? Problem => cluster.Problem;

    public INamespaceEngine Find(string @namespace) => new Engine(this, @namespace);

    private async Task<WriteAnswer> RunAsync(string @namespace, WriteCommand command)
    {
        var started = time.GetTimestamp();
        var limit = settings.Timeout + CallSlack;
        var write = new WriteMessage(@namespace, WireJson.Encode(command));
        while (true)
        {
            var answer = await AskAsync(write, limit - time.GetElapsedTime(started));
            if (answer.Error is null)
            {
                return answer;
            }

            // The activation that was asked is over, and stored nothing: the next one decides.
            if (answer.Error is { Outcome: QuorumException.NotStored, Quorum.Reason: QuorumReasons.Fenced } && time.GetElapsedTime(started) < settings.Timeout)
            {
                await Task.Delay(RetryPause, time);
                continue;
            }

            throw answer.ToException();
        }
    }

    private async Task<WriteAnswer> AskAsync(WriteMessage write, TimeSpan left)
    {
        if (cluster.Grains is not { } grains)
        {
            throw Failed(QuorumReasons.Unreachable, QuorumException.NotStored, cluster.Problem ?? "the cluster cannot be reached", null);
        }

        try
        {
            // A caller that goes away cancels nothing, and neither does this deadline.
            var answer = await grains.GetGrain<INamespaceGrain>(write.Namespace).WriteAsync(write).WaitAsync(left > TimeSpan.Zero ? left : TimeSpan.Zero, time);
            return WireJson.DecodeAnswer(answer.Answer);
        }
        catch (TimeoutException exception)
        {
            throw Failed(QuorumReasons.Timeout, QuorumException.Unknown, $"the silo that decides for the namespace {write.Namespace} did not answer in time", exception);
        }
        catch (OrleansException exception)
        {
            throw Failed(
                QuorumReasons.Unreachable, QuorumException.Unknown, $"the silo that decides for the namespace {write.Namespace} cannot be reached: {exception.Message}", exception);
        }
    }

    private QuorumException Failed(string reason, string outcome, string message, Exception? inner) =>
        new(new(0, settings.QuorumWrites, reason), outcome, message, inner);

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
