using System.Collections.Concurrent;
using Microsoft.Extensions.DependencyInjection;
using Orleans.Core.Internal;
using Orleans.Storage;
using Orleans.TestingHost;
using OrleansMemory.Compliance;
using OrleansMemory.Core;
using OrleansMemory.Core.Backfills;
using OrleansMemory.Storage.Sqlite;

namespace OrleansMemory.Grains.Tests;

/// <summary>The cluster's record of backfills, whatever becomes of it between a node's ledger and the grain's storage.</summary>
public sealed class BackfillReporterTests : IAsyncLifetime
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(20);

    private readonly StoreFiles _files = new();
    private readonly BreakableStorage _storage = new();
    private readonly ClusterConnection _connection = new();
    private InProcessTestCluster _cluster = null!;
    private SqliteStore _store = null!;
    private MemoryNode _node = null!;

    public async ValueTask InitializeAsync()
    {
        _store = SqliteStore.Open(_files.PathOf(0), "Silo_0");
        _node = await MemoryNode.StartAsync(_store, new(), TimeProvider.System, new Random());
        await _node.StoreAsync(new() { Title = "t", Content = "c" }, new("alice"));
        var builder = new InProcessTestClusterBuilder(1);
        builder.ConfigureSilo((_, silo) =>
        {
            silo.Services.AddSingleton(TimeProvider.System);
            silo.Services.AddSingleton(_node);
            silo.Services.AddKeyedSingleton<IGrainStorage>("Default", _storage);
            silo.Services.AddSingleton<IGrainStorage>(_storage);
            silo.AddPlacementDirector<NodePlacement, NodePlacementDirector>();
        });
        _cluster = builder.Build();
        await _cluster.DeployAsync();
        _connection.Open(_cluster.Silos[0].ServiceProvider);
    }

    public async ValueTask DisposeAsync()
    {
        _connection.Close("the test is over");
        await _cluster.DisposeAsync();
        await _node.DisposeAsync();
        await _store.DisposeAsync();
        _files.Dispose();
    }

    [Fact]
    public async Task The_record_is_made_again_from_the_ledger_whenever_it_lacks_something()
    {
        // Between the two writes: the ledger says complete, and the process was gone before it told.
        await CompleteAsync();
        Assert.Empty(await ReadAsync());
        await using (var reporter = Reporter())
        {
            await RecordedAsync();
        }

        // The record itself is lost.
        _storage.Clear();
        await Grain().Cast<IGrainManagementExtension>().DeactivateOnIdle();
        await Eventually.HoldsAsync("the record is empty", async () => (await ReadAsync()).Count == 0);
        await using (var reporter = Reporter())
        {
            await RecordedAsync();
        }
    }

    [Theory]
    [InlineData(Break.BeforeWrite)]
    [InlineData(Break.AfterWrite)]
    [InlineData(Break.Always)]
    public async Task A_report_that_the_grains_storage_breaks_is_told_again(Break how)
    {
        _storage.Break = how;
        await CompleteAsync();
        await using var reporter = Reporter();
        await Eventually.HoldsAsync("the storage has broken a report", () => Task.FromResult(_storage.Broken > 0));

        // The node serves and its backfills are complete all the same.
        Assert.All((await _node.Backfills.ReadAsync()).Steps, static status => Assert.Equal(BackfillState.Complete, status.Record.State));
        Assert.Equal("t", (await _node.ListAsync(new())).Memories.Single().Title);
        if (how != Break.AfterWrite)
        {
            Assert.Empty(_storage.Stored);
        }

        _storage.Break = Break.Never;
        await RecordedAsync();
        Assert.NotEmpty(_storage.Stored);
    }

    private async Task CompleteAsync()
    {
        _node.StartBackfills(new Random(1));
        await _node.Backfills.Settled.WaitAsync(TimeSpan.FromSeconds(60));
    }

    private BackfillReporter Reporter() => new(_connection, "Silo_0", _node.Backfills, Interval, TimeProvider.System);

    private IStartupTaskGrain Grain() => _cluster.Client.GetGrain<IStartupTaskGrain>("content-hash");

    private Task<IReadOnlyList<StartupTaskReport>> ReadAsync() => Grain().ReadAsync();

    private Task RecordedAsync() => Eventually.HoldsAsync(
        "the record says that the node is complete",
        async () => await _node.Backfills.Cluster!(CancellationToken.None) is { } reports
            && reports.Count(static report => report is { Node: "Silo_0", Version: 1, IsComplete: true }) == _node.Backfills.Steps.Count);

    public enum Break
    {
        Never,
        BeforeWrite,
        AfterWrite,

        /// <summary>Reads fail too: no grain that has state can be activated.</summary>
        Always,
    }

    /// <summary>A grain storage in memory whose failures are chosen.</summary>
    private sealed class BreakableStorage : IGrainStorage
    {
        private int _broken;

        public volatile Break Break;

        public ConcurrentDictionary<string, (object State, string Tag)> Stored { get; } = new();

        public int Broken => Volatile.Read(ref _broken);

        public void Clear() => Stored.Clear();

        public Task ReadStateAsync<T>(string stateName, GrainId grainId, IGrainState<T> grainState)
        {
            FailWhen(Break == Break.Always);
            if (Stored.TryGetValue($"{grainId}/{stateName}", out var held))
            {
                // A copy: what a grain changes and does not store must not be here.
                var record = (StartupTaskRecord)held.State;
                (grainState.State, grainState.ETag, grainState.RecordExists) = ((T)(object)new StartupTaskRecord { Reports = new(record.Reports) }, held.Tag, true);
            }

            return Task.CompletedTask;
        }

        public Task WriteStateAsync<T>(string stateName, GrainId grainId, IGrainState<T> grainState)
        {
            FailWhen(Break is Break.BeforeWrite or Break.Always);
            grainState.ETag = Guid.NewGuid().ToString();
            Stored[$"{grainId}/{stateName}"] = (new StartupTaskRecord { Reports = new(((StartupTaskRecord)(object)grainState.State!).Reports) }, grainState.ETag);
            FailWhen(Break == Break.AfterWrite);
            return Task.CompletedTask;
        }

        public Task ClearStateAsync<T>(string stateName, GrainId grainId, IGrainState<T> grainState)
        {
            Stored.TryRemove($"{grainId}/{stateName}", out _);
            return Task.CompletedTask;
        }

        private void FailWhen(bool isBroken)
        {
            if (isBroken)
            {
                Interlocked.Increment(ref _broken);
                throw new IOException("the storage is away");
            }
        }
    }
}
