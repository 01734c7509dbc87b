using System.Collections.Concurrent;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using Microsoft.Extensions.AI;
using OrleansMemory.Core;
using OrleansMemory.Core.Backfills;
using OrleansMemory.Core.Backfills.Steps;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Compliance;

/// <summary>What the backfills of every store promise. A store's test project inherits this and says how its tables are reached.</summary>
public abstract class BackfillCompliance
{
    private const int Rows = 300;

    private static readonly WriteContext Alice = new("alice");
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(60);
    private static readonly string[] Steps = ["access-counters", "content-hash", "namespace-path", "text-index"];

    /// <summary>Opens a store under a name that is new to this run, or the one that was opened under it before.</summary>
    protected abstract ValueTask<IMemoryStore> OpenAsync(string name, string nodeId);

    /// <summary>Runs statements on the store's tables, which no node has open; <c>@.</c> stands for where they are.</summary>
    protected abstract Task RunSqlAsync(string name, string sql);

    /// <summary>The first number that a query gives.</summary>
    protected abstract Task<long> QueryAsync(string name, string sql);

    /// <summary>Takes away what this version added to the tables.</summary>
    protected abstract Task MakeOldAsync(string name);

    /// <summary>Makes every write of the mark that a step is complete fail, or undoes that.</summary>
    protected abstract Task ForbidCompletionAsync(string name, bool isForbidden);

    /// <summary>Keeps every other connection from writing, for as long as what it gives is not disposed of.</summary>
    protected abstract Task<IAsyncDisposable> HoldWriteLockAsync(string name);

    /// <summary>Changes with every commit.</summary>
    protected abstract Task<string> ReadCommitMarkAsync(string name);

    /// <summary>Leaves a store as if a program that keeps no derived values had changed the text of a memory.</summary>
    protected abstract string WriteAsOlderProgram(string title);

    [Fact]
    public async Task The_first_start_on_an_old_store_runs_every_step_and_the_second_takes_no_lock_and_writes_nothing()
    {
        var name = await OldStoreAsync();
        await using (var store = await OpenAsync(name, "n"))
        await using (var node = await NodeAsync(store))
        {
            Assert.Equal([3, Rows, Rows], (await node.Backfills.DryRunAsync()).Take(3).Select(static step => step.Remaining));
            await SettleAsync(node);
            var ledger = await store.ReadBackfillsAsync();
            Assert.Equal(Steps, ledger.Select(static record => record.Step));
            Assert.All(ledger, static record => Assert.Equal((BackfillState.Complete, null, 1L), (record.State, record.LeaseOwner, record.LeaseEpoch)));
            Assert.Equal([3, Rows, Rows], ledger.Take(3).Select(static record => record.RowsDone));
            Assert.All(await node.Backfills.DryRunAsync(), static step => Assert.Equal(0, step.Remaining));
            await AssertSoundAsync(node);
        }

        Assert.Equal(2 * Rows, await QueryAsync(name, "select count(*) from @.derived"));
        var mark = await ReadCommitMarkAsync(name);
        await using (await HoldWriteLockAsync(name))
        {
            await using var store = await OpenAsync(name, "n");
            await using var node = await NodeAsync(store);
            var told = Listen(node.Backfills);
            await SettleAsync(node);
            Assert.Equal(Steps, told.Where(static told => told is { Kind: BackfillEventKind.AlreadyComplete, Reason: "already-complete" }).Select(static told => told.Step).Order());
            Assert.Equal(Steps.Length, told.Count);
        }

        Assert.Equal(mark, await ReadCommitMarkAsync(name));
    }

    [Fact]
    public async Task A_completion_mark_that_cannot_be_written_takes_its_batch_back_and_no_other()
    {
        var name = await OldStoreAsync();
        await using (var store = await OpenAsync(name, "n"))
        {
            // The tables are there; nothing has run.
        }

        await ForbidCompletionAsync(name, isForbidden: true);
        await using (var store = await OpenAsync(name, "n"))
        await using (var bench = await Bench.StartAsync(store, [new DerivedStep(store, DerivedColumns.ContentHash)], new() { LargestBatch = Rows / 3, Sweep = TimeSpan.FromMilliseconds(20) }))
        {
            bench.Runner.Start(new Random(1), Exclusive());
            await Eventually.HoldsAsync("the step has failed", async () => (await RecordAsync(store, "content-hash"))?.State == BackfillState.Failed);
            var failed = (await RecordAsync(store, "content-hash"))!;
            Assert.Null(failed.CompletedAt);
            Assert.NotNull(failed.LastError);
            Assert.NotNull(failed.NextAttemptAt);
            Assert.InRange(failed.RowsDone, 1, Rows - 1);
            Assert.Equal(Rows - failed.RowsDone, await bench.Runner.Steps[0].RemainingAsync());
        }

        await ForbidCompletionAsync(name, isForbidden: false);
        await using (var store = await OpenAsync(name, "n"))
        await using (var node = await NodeAsync(store))
        {
            var before = (await RecordAsync(store, "content-hash"))!.RowsDone;
            await node.Backfills.RetryAsync("content-hash");
            await SettleAsync(node);
            var record = (await RecordAsync(store, "content-hash"))!;
            Assert.Equal((BackfillState.Complete, (long)Rows), (record.State, record.RowsDone));
            Assert.True(record.RowsDone >= before);
            await AssertSoundAsync(node);
        }
    }

    [Fact]
    public async Task Three_runners_on_one_store_do_each_row_once()
    {
        var name = NewName();
        await using var store = await OpenAsync(name, "n");
        await FillAsync(store, Rows);
        var computed = new ConcurrentDictionary<string, int>();
        IReadOnlyList<IBackfillStep> steps = [new DerivedStep(store, Counting("words", computed))];
        await using var writer = await WriterAsync(store);
        var settings = new BackfillSettings { LargestBatch = 7, Sweep = TimeSpan.FromMilliseconds(5) };
        var runners = Enumerable.Range(0, 3).Select(number => new BackfillRunner(store, writer, steps, settings, "here", $"r{number}", TimeProvider.System)).ToList();
        runners.ForEach(static runner => runner.Start(new Random(1), Exclusive()));
        await Task.WhenAll(runners.Select(static runner => runner.Settled)).WaitAsync(Deadline);
        foreach (var runner in runners)
        {
            await runner.DisposeAsync();
        }

        Assert.Equal(Rows, computed.Count);
        Assert.All(computed.Values, static times => Assert.Equal(1, times));
        var record = (await RecordAsync(store, "words"))!;
        Assert.Equal(((long)Rows, 1L), (record.RowsDone, record.LeaseEpoch));
    }

    [Fact]
    public async Task Slow_commits_do_not_end_in_batches_of_single_rows()
    {
        await using var store = await OpenAsync(NewName(), "n");
        await FillAsync(store, Rows);
        await using var writer = await WriterAsync(store);
        var batches = new ConcurrentQueue<int>();
        writer.Committed = (_, changes) => batches.Enqueue(changes.Derived.Count);

        // No commit is as fast as this.
        var settings = new BackfillSettings { Hold = TimeSpan.FromTicks(1), BusyHold = TimeSpan.FromTicks(1) };
        await using var runner = new BackfillRunner(store, writer, [new DerivedStep(store, Counting("words", []))], settings, "here", "r", TimeProvider.System);
        runner.Start(new Random(1), Exclusive());
        await runner.Settled.WaitAsync(Deadline);
        Assert.Equal(Rows, batches.Sum());
        Assert.InRange(batches.Count(static rows => rows > 0), 1, (Rows / 16) + 1);
    }

    [Fact]
    public async Task A_runner_that_sleeps_past_its_lease_commits_nothing_when_it_wakes()
    {
        var name = NewName();
        await using var store = await OpenAsync(name, "n");
        await FillAsync(store, Rows);
        await using var writer = await WriterAsync(store);
        using var asleep = new ManualResetEventSlim();
        using var wake = new ManualResetEventSlim();
        var settings = new BackfillSettings { LargestBatch = 20, Lease = TimeSpan.FromMilliseconds(1_500), Sweep = TimeSpan.FromMilliseconds(20) };
        var zombieDone = new ConcurrentDictionary<string, int>();
        var zombieStep = new DerivedStep(store, new("words", 1, memory =>
        {
            if (zombieDone.TryAdd(memory.Id, 1) && zombieDone.Count == 50)
            {
                asleep.Set();
                wake.Wait(Deadline);
            }

            return [1];
        }));
        await using var zombie = new BackfillRunner(store, writer, [zombieStep], settings, "here", "zombie", TimeProvider.System);
        var told = Listen(zombie);
        zombie.Start(new Random(1), Exclusive());
        Assert.True(asleep.Wait(Deadline));
        var before = (await RecordAsync(store, "words"))!;
        var computed = new ConcurrentDictionary<string, int>();
        await using var other = new BackfillRunner(store, writer, [new DerivedStep(store, Counting("words", computed, value: 2))], settings, "here", "other", TimeProvider.System);
        other.Start(new Random(2), Exclusive());
        await other.Settled.WaitAsync(Deadline);
        var record = (await RecordAsync(store, "words"))!;
        Assert.Equal((BackfillState.Complete, (long)Rows), (record.State, record.RowsDone));
        Assert.True(record.LeaseEpoch > before.LeaseEpoch);
        wake.Set();
        await Eventually.HoldsAsync("the sleeper hears that its lease is gone", () => Task.FromResult(told.Any(static told => told.Kind == BackfillEventKind.LeaseLost)));
        await zombie.Settled.WaitAsync(Deadline);
        Assert.Equal(record, await RecordAsync(store, "words"));
        Assert.Equal(Rows - before.RowsDone, computed.Count);
    }

    [Fact]
    public async Task A_lease_that_has_ended_is_not_extended_by_its_own_holder()
    {
        await using var store = await OpenAsync(NewName(), "n");
        await FillAsync(store, 60);
        using var asleep = new ManualResetEventSlim();
        using var wake = new ManualResetEventSlim();
        var slept = 0;
        var step = new DerivedStep(store, new("words", 1, _ =>
        {
            if (Interlocked.Increment(ref slept) == 30)
            {
                asleep.Set();
                wake.Wait(Deadline);
            }

            return [1];
        }));
        await using var bench = await Bench.StartAsync(store, [step], new() { LargestBatch = 20, Lease = TimeSpan.FromSeconds(1), Sweep = TimeSpan.FromMilliseconds(20) });
        var told = Listen(bench.Runner);
        bench.Runner.Start(new Random(1), Exclusive());
        Assert.True(asleep.Wait(Deadline));
        var held = (await RecordAsync(store, "words"))!;
        await Eventually.HoldsAsync("the lease has ended", () => Task.FromResult(Timestamp.Now(TimeProvider.System) > held.LeaseExpiresAt));
        wake.Set();
        await bench.Runner.Settled.WaitAsync(Deadline);
        Assert.Contains(told, static told => told.Kind == BackfillEventKind.LeaseLost);
        var record = (await RecordAsync(store, "words"))!;
        Assert.Equal(60, record.RowsDone);
        Assert.True(record.LeaseEpoch > held.LeaseEpoch);
    }

    [Fact]
    public async Task A_higher_version_runs_its_step_alone_and_a_lower_one_does_not_run_any_more()
    {
        await using var store = await OpenAsync(NewName(), "n");
        await FillAsync(store, Rows);
        await RunAsync(store, [new DerivedStep(store, new("words", 1, static _ => [1])), new DerivedStep(store, DerivedColumns.ContentHash)]);
        var before = await RecordAsync(store, "content-hash");
        var computed = new ConcurrentDictionary<string, int>();
        var higher = Counting("words", computed, value: 2) with { Version = 2 };
        await RunAsync(store, [new DerivedStep(store, higher), new DerivedStep(store, DerivedColumns.ContentHash)]);
        Assert.Equal(Rows, computed.Count);
        Assert.Equal(before, await RecordAsync(store, "content-hash"));
        var ledger = (await store.ReadBackfillsAsync()).Where(static record => record.Step == "words").ToList();
        Assert.Equal([(1, BackfillState.Superseded), (2, BackfillState.Complete)], ledger.Select(static record => (record.Version, record.State)));

        var told = await RunAsync(store, [new DerivedStep(store, new("words", 1, static _ => throw new InvalidOperationException("the lower version ran")))]);
        Assert.Equal((BackfillEventKind.NewerVersion, "newer-version 2"), (Assert.Single(told).Kind, told.First().Reason));
        Assert.Equal(ledger, (await store.ReadBackfillsAsync()).Where(static record => record.Step == "words"));
    }

    [Fact]
    public async Task An_older_program_is_refused_once_the_store_says_so()
    {
        var name = NewName();
        await using (await OpenAsync(name, "n"))
        {
        }

        Assert.Equal(1, await QueryAsync(name, "select cast(value as integer) from @.meta where key = 'min_writer_version'"));
        await RunSqlAsync(name, "update @.meta set value = '3' where key = 'min_writer_version'");
        var refused = await Assert.ThrowsAsync<MemoryException>(async () => await OpenAsync(name, "n"));
        Assert.Equal(ErrorKind.StoreTooNew, refused.Kind);
        Assert.Contains("schema 3", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Rows_that_come_in_later_are_brought_up_as_they_come()
    {
        await using var store = await OpenAsync(NewName(), "n");
        await using var peerStore = await OpenAsync(NewName(), "peer");
        await FillAsync(peerStore, 20, "theirs");
        await using var node = await NodeAsync(store);
        await SettleAsync(node);
        await node.ImportAsync([(await FirstAsync(peerStore)).View with { Id = "imported", Title = "imported", AccessCount = 7 }], [], new(TrustSource: true), Alice);
        var rows = new List<RowKey>();
        await foreach (var id in IdsAsync(peerStore))
        {
            rows.Add(new(MutationKind.Memory, id));
        }

        await node.Replica.JoinAsync(await peerStore.ReadRowsAsync(rows));
        Assert.Equal(7, (await node.GetAsync("imported")).Memory.AccessCount);
        Assert.All(await node.Backfills.DryRunAsync(), static step => Assert.Equal(0, step.Remaining));
        await AssertSoundAsync(node);
    }

    [Fact]
    public async Task Rows_that_an_older_program_wrote_are_repaired_and_their_step_stays_complete()
    {
        var name = NewName();
        BackfillRecord completed;
        await using (var store = await OpenAsync(name, "n"))
        {
            await FillAsync(store, Rows);
            await using var node = await NodeAsync(store);
            await SettleAsync(node);
            completed = (await RecordAsync(store, "content-hash"))!;
        }

        await RunSqlAsync(name, WriteAsOlderProgram("t 17"));
        await using (var store = await OpenAsync(name, "n"))
        await using (var node = await NodeAsync(store))
        {
            Assert.Equal(Rows, (await node.Backfills.DryRunAsync("content-hash")).Single().Remaining);
            await SettleAsync(node);
            var record = (await RecordAsync(store, "content-hash"))!;
            Assert.Equal((BackfillState.Complete, completed.CompletedAt), (record.State, record.CompletedAt));
            Assert.Equal(0, (await node.Backfills.DryRunAsync("content-hash")).Single().Remaining);
        }

        Assert.Equal(1, await QueryAsync(name, $"select count(*) from @.derived where step = 'content-hash' and {HexOf("value")} = '{Convert.ToHexStringLower(SHA256.HashData("changed"u8))}'"));
    }

    /// <summary>A column's bytes in lower-case hexadecimal digits.</summary>
    protected abstract string HexOf(string column);

    [Fact]
    public async Task A_row_that_cannot_be_converted_is_put_aside_and_taken_up_again_when_asked()
    {
        var name = await OldStoreAsync();
        await RunSqlAsync(name, $"update @.memory set own = {Blob("00")} where title = 't 5'");
        await using (var store = await OpenAsync(name, "n"))
        {
            var isMended = false;
            IReadOnlyList<IBackfillStep> steps =
            [
                new DerivedStep(store, new("words", 1, memory => memory.Title == "t 9" && !isMended ? throw new FormatException("t 9 is poison") : [1])),
                new DerivedStep(store, DerivedColumns.ContentHash),
            ];
            await using var bench = await Bench.StartAsync(store, steps, new() { Sweep = TimeSpan.FromMilliseconds(20), LargestBatch = 50 });
            bench.Runner.Start(new Random(1), Exclusive());
            await bench.Runner.Settled.WaitAsync(Deadline);
            var overview = await bench.Runner.ReadAsync();
            Assert.All(overview.Steps, static status => Assert.Equal(BackfillState.Complete, status.Record.State));
            Assert.Equal([("content-hash", 1L), ("words", 2L)], overview.Steps.Select(static status => (status.Record.Step, status.Record.Quarantined)));
            Assert.Equal(3, overview.Quarantined.Count);
            Assert.Contains(overview.Quarantined, static row => row.Step == "words" && row.Error.Contains("t 9 is poison", StringComparison.Ordinal));

            isMended = true;
            await bench.Runner.RetryAsync("words");
            await Eventually.HoldsAsync("the mended row is done and the broken one is aside again", async () =>
                await store.ReadQuarantineAsync(10) is { Count: 2 } && (await RecordAsync(store, "words"))!.Quarantined == 1);
            Assert.Equal(BackfillState.Complete, (await RecordAsync(store, "words"))!.State);
        }

        Assert.Equal(Rows - 1, await QueryAsync(name, "select count(*) from @.derived where step = 'words'"));
    }

    protected abstract string Blob(string hex);

    [Fact]
    public async Task Every_step_on_three_replicas_leaves_the_digests_equal_and_what_readers_see_unchanged()
    {
        string[] names = [NewName(), NewName(), NewName()];
        await using (var first = await OpenAsync(names[0], "a"))
        {
            await FillAsync(first, Rows);
            await using var source = await NodeAsync(first);
            await source.ImportAsync([(await FirstAsync(first)).View with { Id = "counted", Title = "counted", AccessCount = 7 }], [], new(TrustSource: true), Alice);
            var rows = new List<RowKey> { EntryOf(EntryBodies.LegacyAccessKey("counted")) };
            await foreach (var id in IdsAsync(first))
            {
                rows.Add(new(MutationKind.Memory, id));
            }

            foreach (var (name, node) in names.Skip(1).Zip(["b", "c"]))
            {
                await using var store = await OpenAsync(name, node);
                await using var replica = await NodeAsync(store);
                await replica.Replica.JoinAsync(await first.ReadRowsAsync(rows));
            }
        }

        foreach (var name in names)
        {
            await MakeUnsplitAsync(name, "id = 'counted'", 7);
            await MakeOldAsync(name);
        }

        var digests = new List<Digest>();
        var memories = new List<string>();
        foreach (var (name, id) in names.Zip(["a", "b", "c"]))
        {
            await using var store = await OpenAsync(name, id);
            await using var node = await NodeAsync(store);
            var before = await ShownAsync(node);
            await SettleAsync(node);
            Assert.Equal(before, await ShownAsync(node));
            Assert.Equal(7, (await node.GetAsync("counted")).Memory.AccessCount);
            await AssertSoundAsync(node);
            digests.Add(await node.DigestAsync());
            memories.Add(before);
        }

        Assert.Single(digests.Distinct());
        Assert.Single(memories.Distinct());
    }

    [Fact]
    public async Task A_touch_before_the_counters_are_split_loses_no_count()
    {
        var name = await OldStoreAsync();
        await using var store = await OpenAsync(name, "n");
        await using var node = await MemoryNode.StartAsync(store, new() { TouchInterval = TimeSpan.FromMilliseconds(10) }, TimeProvider.System, new Random());
        var counted = (await node.SearchAsync(new() { Text = "counted" })).Memories;
        Assert.All(counted, static ranked => Assert.Equal(7, ranked.Memory.AccessCount));
        await node.RecallAsync(new() { Context = "counted" });
        await Eventually.HoldsAsync("the touches are written", async () => (await node.GetAsync(counted[0].Memory.Id)).Memory.AccessCount == 8);
        await SettleAsync(node);
        Assert.Equal(8, (await node.GetAsync(counted[0].Memory.Id)).Memory.AccessCount);
        await AssertSoundAsync(node);
    }

    [Fact]
    public async Task A_step_that_passes_rows_over_is_not_called_complete()
    {
        await using var store = await OpenAsync(NewName(), "n");
        await FillAsync(store, 60);
        var isMended = false;
        var step = new ForgetfulStep(store, new("words", 1, static _ => [1]), () => isMended);
        await using var bench = await Bench.StartAsync(store, [step], new() { Sweep = TimeSpan.FromMilliseconds(20), LargestBatch = 10, FirstRetry = TimeSpan.FromMilliseconds(20) });
        bench.Runner.Start(new Random(1), Exclusive());
        await Eventually.HoldsAsync("the step has failed", async () => (await RecordAsync(store, "words"))?.State == BackfillState.Failed);
        Assert.Contains("rows are left", (await RecordAsync(store, "words"))!.LastError, StringComparison.Ordinal);
        Assert.Equal(6, await step.RemainingAsync());
        isMended = true;
        await bench.Runner.Settled.WaitAsync(Deadline);
        Assert.Equal(0, await step.RemainingAsync());
    }

    [Fact]
    public async Task Pause_and_resume_survive_a_restart()
    {
        var name = await OldStoreAsync();
        await using (var store = await OpenAsync(name, "n"))
        await using (var node = await NodeAsync(store))
        {
            await node.Backfills.PauseAsync("namespace-path");
            var missing = await Assert.ThrowsAsync<MemoryException>(() => node.Backfills.PauseAsync("nothing"));
            Assert.Equal(ErrorKind.NotFound, missing.Kind);
        }

        await using (var store = await OpenAsync(name, "n"))
        await using (var node = await NodeAsync(store))
        {
            node.StartBackfills(new Random(1));
            await Eventually.HoldsAsync("the others are complete", async () =>
                (await store.ReadBackfillsAsync()).Count(static record => record.State == BackfillState.Complete) == Steps.Length - 1);
            var paused = (await RecordAsync(store, "namespace-path"))!;
            Assert.Equal((BackfillState.Paused, 0L), (paused.State, paused.RowsDone));
            Assert.False(node.Backfills.Settled.IsCompleted);
            await node.Backfills.ResumeAsync("namespace-path");
            await node.Backfills.Settled.WaitAsync(Deadline);
        }

        await using (var store = await OpenAsync(name, "n"))
        {
            Assert.Equal((BackfillState.Complete, (long)Rows), ((await RecordAsync(store, "namespace-path"))!.State, (await RecordAsync(store, "namespace-path"))!.RowsDone));
        }
    }

    [Fact]
    public async Task A_dry_run_counts_and_touches_nothing()
    {
        var name = await OldStoreAsync();
        await using (await OpenAsync(name, "n"))
        {
            // The tables come with the first opening.
        }

        var mark = await ReadCommitMarkAsync(name);
        await using (var store = await OpenAsync(name, "n"))
        await using (var node = await NodeAsync(store))
        {
            Assert.Equal(Rows, Assert.Single(await node.Backfills.DryRunAsync("content-hash")).Remaining);
            Assert.All((await node.Backfills.ReadAsync()).Steps, static status => Assert.Equal(BackfillState.Pending, status.Record.State));
        }

        Assert.Equal(mark, await ReadCommitMarkAsync(name));
    }

    [Fact]
    public async Task Memories_are_embedded_again_when_their_text_or_the_model_changes()
    {
        var name = NewName();
        await using (var store = await OpenAsync(name, "n"))
        {
            await FillAsync(store, 100);
            await using var node = await NodeAsync(store, new WordEmbedder("small", 4) { Refused = "t 7\n" }, sweep: TimeSpan.FromMilliseconds(20));
            await SettleAsync(node);
            Assert.Equal("small/4", (await RecordAsync(store, EmbeddingStep.StepName))!.Marker);
            Assert.Contains("refused", Assert.Single(await store.ReadQuarantineAsync(10)).Error, StringComparison.Ordinal);
            var changed = (await node.ListAsync(new() { Limit = 1 })).Memories[0];
            await node.UpdateAsync(changed.Id, new() { Content = "another text" }, Alice);
            await node.StoreAsync(new() { Title = "new", Content = "come later" }, Alice);
            await Eventually.HoldsAsync("the changed and the new memory are embedded", async () =>
                await node.Backfills.DryRunAsync(EmbeddingStep.StepName) is [{ Remaining: 0 }] && (await RecordAsync(store, EmbeddingStep.StepName))!.RowsDone == 102);
            Assert.Equal(BackfillState.Complete, (await RecordAsync(store, EmbeddingStep.StepName))!.State);
            await AssertSoundAsync(node);
            var first = await store.ReadDerivedAsync(EmbeddingStep.StepName, "small/4", 0, 60);
            var rest = await store.ReadDerivedAsync(EmbeddingStep.StepName, "small/4", first[^1].Row, 60);
            Assert.Equal((60, 40), (first.Count, rest.Count));
            Assert.Equal(first.Concat(rest).Select(static value => value.Row).Distinct().Order(), first.Concat(rest).Select(static value => value.Row));
            Assert.All(rest, static value => Assert.Equal(16, value.Value.Length));
            Assert.Empty(await store.ReadDerivedAsync(EmbeddingStep.StepName, "large/8", 0, 60));

            // By words and vectors, on this store.
            var found = await node.RecallAsync(new() { Context = "come later", Limit = 3 });
            Assert.Equal((RecallModes.Hybrid, "new"), (found.Mode, found.Memories[0].Memory.Title));
            Assert.Equal("some memories have no vectors yet", found.Degraded);
        }

        Assert.Equal(100, await QueryAsync(name, "select count(*) from @.derived where step = 'embedding' and marker = 'small/4'"));
        var expected = Convert.ToHexStringLower(MemoryMarshal.AsBytes(WordEmbedder.Embed("new\ncome later", 4).AsSpan()));
        Assert.Equal(1, await QueryAsync(name, $"select count(*) from @.derived where step = 'embedding' and {HexOf("value")} = '{expected}'"));
        await using (var store = await OpenAsync(name, "n"))
        {
            var before = await RecordAsync(store, "content-hash");
            await using var node = await NodeAsync(store, new WordEmbedder("large", 8));
            await SettleAsync(node);
            Assert.Equal(("large/8", 101L), ((await RecordAsync(store, EmbeddingStep.StepName))!.Marker, (await RecordAsync(store, EmbeddingStep.StepName))!.RowsDone));
            Assert.Equal(before, await RecordAsync(store, "content-hash"));
        }

        Assert.Equal(101, await QueryAsync(name, "select count(*) from @.derived where step = 'embedding' and marker = 'large/8'"));
    }

    [Fact]
    public async Task Vectors_are_read_again_after_a_restart()
    {
        var name = NewName();
        await using (var store = await OpenAsync(name, "n"))
        {
            await FillAsync(store, 20);
            await using var node = await NodeAsync(store, new WordEmbedder("small", 4));
            await SettleAsync(node);
        }

        await using (var store = await OpenAsync(name, "n"))
        {
            var asked = 0;
            await using var node = await NodeAsync(store, new WordEmbedder("small", 4) { Embedding = () => asked++ });
            var found = await node.RecallAsync(new() { Context = "t 7", Limit = 5 });

            // The query alone was embedded.
            Assert.Equal((RecallModes.Hybrid, null, 1), (found.Mode, found.Degraded, asked));
            Assert.Equal(5, found.Memories.Count);
        }
    }

    [Fact]
    public async Task A_model_that_is_away_delays_its_step_and_puts_no_row_aside()
    {
        await using var store = await OpenAsync(NewName(), "n");
        await FillAsync(store, 100);
        var embedder = new WordEmbedder("small", 4) { IsAway = true };
        await using var node = await NodeAsync(store, embedder, sweep: TimeSpan.FromMilliseconds(20));
        node.StartBackfills(new Random(1));
        await Eventually.HoldsAsync("the step has failed twice", async () => (await RecordAsync(store, EmbeddingStep.StepName))?.Attempts >= 2);
        Assert.Empty(await store.ReadQuarantineAsync(10));
        embedder.IsAway = false;
        await node.Backfills.Settled.WaitAsync(Deadline);
        Assert.Equal((100L, 0), ((await RecordAsync(store, EmbeddingStep.StepName))!.RowsDone, (await RecordAsync(store, EmbeddingStep.StepName))!.Attempts));
    }

    [Fact]
    public async Task A_memory_that_changes_while_it_is_embedded_is_embedded_as_it_is_then()
    {
        var name = NewName();
        await using (var store = await OpenAsync(name, "n"))
        {
            await FillAsync(store, 20);
            using var computing = new ManualResetEventSlim();
            using var changed = new ManualResetEventSlim();
            var embedder = new WordEmbedder("small", 4)
            {
                Embedding = () =>
                {
                    computing.Set();
                    changed.Wait();
                },
            };
            await using var node = await NodeAsync(store, embedder, sweep: TimeSpan.FromMilliseconds(20));
            node.StartBackfills(new Random(1));
            Assert.True(computing.Wait(Deadline));
            var memory = (await node.ListAsync(new() { Limit = 1 })).Memories[0];
            await node.UpdateAsync(memory.Id, new() { Title = "new", Content = "as it is then" }, Alice);
            changed.Set();
            await node.Backfills.Settled.WaitAsync(Deadline);
            Assert.Equal(0, await node.Backfills.Steps[^1].RemainingAsync());
            await AssertSoundAsync(node);
        }

        var expected = Convert.ToHexStringLower(MemoryMarshal.AsBytes(WordEmbedder.Embed("new\nas it is then", 4).AsSpan()));
        Assert.Equal(1, await QueryAsync(name, $"select count(*) from @.derived where step = 'embedding' and marker = 'small/4' and {HexOf("value")} = '{expected}'"));
        Assert.Equal(20, await QueryAsync(name, "select count(*) from @.derived where step = 'embedding' and marker = 'small/4'"));
    }

    protected static TaskScheduler Exclusive() => new ConcurrentExclusiveSchedulerPair().ExclusiveScheduler;

    protected static string NewName() => $"fill_{Guid.NewGuid():N}";

    protected static async Task FillAsync(IMemoryStore store, int rows, string prefix = "t")
    {
        await using var node = await NodeAsync(store);
        foreach (var batch in Enumerable.Range(0, rows).Chunk(500))
        {
            await node.StoreManyAsync([.. batch.Select(number => new MemoryDraft
            {
                Title = $"{prefix} {number}", Content = $"content {number} {new string('x', number % 50)}", Namespace = (number % 3) switch { 0 => "a", 1 => "a/b", _ => "a/b/c" },
            })], Alice);
        }
    }

    /// <summary>A store of an older version: no derived values, and three memories that count seven accesses in their row alone.</summary>
    protected async Task<string> OldStoreAsync(int rows = Rows)
    {
        var name = NewName();
        await using (var store = await OpenAsync(name, "n"))
        {
            await FillAsync(store, rows - 3);
            await FillAsync(store, 3, "counted");
        }

        await MakeUnsplitAsync(name, "title like 'counted %'", 7);
        await MakeOldAsync(name);
        return name;
    }

    private async Task MakeUnsplitAsync(string name, string which, int count) => await RunSqlAsync(
        name,
        string.Create(CultureInfo.InvariantCulture, $"""
            update @.memory set access_count = {count}, touches = 0 where {which};
            delete from @.entry where kind = 4;
            delete from @.digest where namespace = '@4';
            delete from @.mutation_log where kind = 4;
            """));

    private static DerivedColumn Counting(string name, ConcurrentDictionary<string, int> computed, byte value = 1) => new(name, 1, memory =>
    {
        computed.AddOrUpdate(memory.Id, 1, static (_, times) => times + 1);
        return [value];
    });

    private static RowKey EntryOf(EntryKey key) => new(key.Kind, key.Key);

    private static async Task<MemoryNode> NodeAsync(IMemoryStore store, IEmbeddingGenerator<string, Embedding<float>>? embedder = null, TimeSpan? sweep = null) =>
        await MemoryNode.StartAsync(
            store,
            new()
            {
                Backfills = new() { LargestBatch = 100, Sweep = sweep ?? TimeSpan.FromMinutes(1), FirstRetry = TimeSpan.FromMilliseconds(20) },
                Models = new() { Embedder = embedder },
            },
            TimeProvider.System,
            new Random());

    private static async Task SettleAsync(MemoryNode node)
    {
        node.StartBackfills(new Random(1));
        await node.Backfills.Settled.WaitAsync(Deadline);
    }

    private static async Task<CommandWriter> WriterAsync(IMemoryStore store) => await CommandWriter.StartAsync(store, Exclusive(), TimeProvider.System, new Random(1));

    private static async Task<ConcurrentQueue<BackfillEvent>> RunAsync(IMemoryStore store, IReadOnlyList<IBackfillStep> steps)
    {
        await using var bench = await Bench.StartAsync(store, steps, new() { LargestBatch = 100 });
        var told = Listen(bench.Runner);
        bench.Runner.Start(new Random(1), Exclusive());
        await bench.Runner.Settled.WaitAsync(Deadline);
        return told;
    }

    private static ConcurrentQueue<BackfillEvent> Listen(BackfillRunner runner)
    {
        var told = new ConcurrentQueue<BackfillEvent>();
        runner.Observer = told.Enqueue;
        return told;
    }

    private static async Task<BackfillRecord?> RecordAsync(IMemoryStore store, string step) =>
        (await store.ReadBackfillsAsync()).LastOrDefault(record => record.Step == step);

    private static async IAsyncEnumerable<string> IdsAsync(IMemoryStore store)
    {
        foreach (var id in await store.FindIdsAsync("", 10_000))
        {
            yield return id;
        }
    }

    private static async Task<MemoryRow> FirstAsync(IMemoryStore store) => (await store.FindAsync((await store.FindIdsAsync("", 1))[0]))!;

    private static async Task<string> ShownAsync(MemoryNode node)
    {
        var text = new StringBuilder();
        await foreach (var memory in node.ExportMemoriesAsync())
        {
            text.AppendLine(CultureInfo.InvariantCulture, $"{memory with { Tags = [] }} {string.Join(',', memory.Tags)}");
        }

        return text.ToString();
    }

    private static async Task AssertSoundAsync(MemoryNode node) => Assert.Empty((await node.Store.VerifyAsync()).Differences);

    private sealed class Bench(CommandWriter writer, BackfillRunner runner) : IAsyncDisposable
    {
        public BackfillRunner Runner => runner;

        public static async Task<Bench> StartAsync(IMemoryStore store, IReadOnlyList<IBackfillStep> steps, BackfillSettings settings)
        {
            var writer = await WriterAsync(store);
            return new(writer, new(store, writer, steps, settings, Guid.NewGuid().ToString("N"), "r", TimeProvider.System));
        }

        public async ValueTask DisposeAsync()
        {
            await runner.DisposeAsync();
            await writer.DisposeAsync();
        }
    }

    /// <summary>Passes over titles that end in 7, until it is mended.</summary>
    private sealed class ForgetfulStep(IMemoryStore store, DerivedColumn column, Func<bool> isMended) : IBackfillStep
    {
        private readonly DerivedStep _step = new(store, column);

        public string Name => _step.Name;

        public int Version => _step.Version;

        public string Marker => _step.Marker;

        public ValueTask<BackfillPage> PendingAsync(string cursor, int limit, CancellationToken cancellation = default) => _step.PendingAsync(cursor, limit, cancellation);

        public async ValueTask<BackfillBatch> ApplyAsync(IReadOnlyList<BackfillRow> rows, CancellationToken cancellation = default) =>
            await _step.ApplyAsync(isMended() ? rows : [.. rows.Where(static row => !row.Memory!.View.Title.EndsWith('7'))], cancellation);

        public ValueTask<long> RemainingAsync(CancellationToken cancellation = default) => _step.RemainingAsync(cancellation);
    }

    /// <summary>A vector of word lengths: the same text always gives the same one.</summary>
    private sealed class WordEmbedder(string model, int dimension) : IEmbeddingGenerator<string, Embedding<float>>
    {
        public bool IsAway { get; set; }

        public string? Refused { get; init; }

        public Action? Embedding { get; init; }

        public static float[] Embed(string text, int dimension)
        {
            var vector = new float[dimension];
            foreach (var word in text.Split(' ', '\n'))
            {
                vector[word.Length % dimension] += 1;
            }

            return vector;
        }

        public Task<GeneratedEmbeddings<Embedding<float>>> GenerateAsync(
            IEnumerable<string> values, EmbeddingGenerationOptions? options = null, CancellationToken cancellationToken = default)
        {
            var texts = values.ToList();
            Embedding?.Invoke();
            return IsAway ? throw new HttpRequestException("the model is away")
                : Refused is { } refused && texts.Exists(text => text.StartsWith(refused, StringComparison.Ordinal)) ? throw new FormatException("refused")
                : Task.FromResult(new GeneratedEmbeddings<Embedding<float>>(texts.Select(text => new Embedding<float>(Embed(text, dimension)))));
        }

        public object? GetService(Type serviceType, object? serviceKey = null) =>
            serviceType == typeof(EmbeddingGeneratorMetadata) ? new EmbeddingGeneratorMetadata("test", null, model, dimension) : null;

        public void Dispose()
        {
        }
    }
}
