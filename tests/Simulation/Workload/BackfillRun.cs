using System.Text;
using OrleansMemory.Core;
using OrleansMemory.Core.Backfills;
using OrleansMemory.Core.Backfills.Steps;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Replication;
using OrleansMemory.Simulation.Disks;
using OrleansMemory.Simulation.World;

namespace OrleansMemory.Simulation.Workload;

/// <param name="Failure">Null when every promise held.</param>
/// <param name="Batches">That were committed.</param>
/// <param name="Lives">Of the process.</param>
public sealed record BackfillRunResult(long Seed, string? Failure, ulong Trace, long Batches, int Lives, long Epochs);

/// <summary>
/// One store and three runners of one backfill, under kills, pauses past the lease, failing and slow disks, lost answers, jumping clocks and
/// changing rows; then all of it heals, and the backfill must end with every row as it is. Each durable record is judged against the one
/// before it.
/// </summary>
public sealed class BackfillRun
{
    private const int Rows = 120;
    private const int Runners = 3;
    private const long MostSteps = 3_000_000;
    private const string Step = "length";

    private static readonly TimeSpan Faulty = TimeSpan.FromSeconds(40);
    private static readonly TimeSpan HealsWithin = TimeSpan.FromMinutes(10);

    private readonly long _seed;
    private readonly SimulatedWorld _world;
    private readonly SimulatedDisk _disk;
    private readonly MachineClock _clock = new();
    private readonly List<SimulatedProcess> _processes = [];
    private readonly List<BackfillRunner> _runners = [];
    private TimeProvider? _time;
    private CommandWriter? _writer;
    private SimulatedStore? _store;
    private long _batches;
    private int _lives;

    private BackfillRun(long seed)
    {
        _seed = seed;
        _world = new(Seeds.Stream(seed, "backfill"), window: 4);
        _disk = new() { Faults = new(_world, () => _time!), Written = Judge };
    }

    public static BackfillRunResult One(long seed, Action<string>? log = null)
    {
        BackfillRunResult? result = null;

        // In a thread of its own: nothing of the caller's context is in it.
        var thread = new Thread(() => result = new BackfillRun(seed).Run(log));
        thread.Start();
        thread.Join();
        return result!;
    }

    /// <summary>The first of these seeds that fails; null when none does.</summary>
    public static BackfillRunResult? FirstFailure(long first, long last)
    {
        for (var seed = first; seed <= last; seed++)
        {
            if (One(seed) is { Failure: not null } failed)
            {
                return failed;
            }
        }

        return null;
    }

    private BackfillRunResult Run(Action<string>? log)
    {
        _world.Log = log;
        var outside = new SimulatedProcess(_world, "outside", 0);
        _world.RunUntil(outside.RunAsync(() => PlayAsync(new SimulatedTime(_world, outside, new()))), MostSteps);
        return new(_seed, _world.Failure, _world.Trace, _batches, _lives, _disk.Tables.Backfills.GetValueOrDefault((Step, 1))?.LeaseEpoch ?? 0);
    }

    private async Task<bool> PlayAsync(TimeProvider time)
    {
        await FillAsync();
        var faults = _disk.Faults!;
        (faults.WriteErrors, faults.Doubts, faults.SlowestSync) = (0.02, 0.01, 20);
        await StartAsync();
        while (_world.Now < Faulty)
        {
            await Task.Delay(_world.Between(20, 1_500), time);
            switch (_world.Random.Next(6))
            {
                case 0:
                    Kill();
                    await Task.Delay(_world.Between(1, 200), time);
                    await StartAsync();
                    break;
                case 1 or 2:
                    // Of the runners, and long enough for another to take over.
                    var paused = _processes[1 + _world.Random.Next(Runners)];
                    paused.Pause();
                    _world.After(_world.Between(10, 3_000), paused.Resume);
                    break;
                case 3:
                    _clock.Offset += _world.Between(-2_000, 2_000);
                    break;
                case 4:
                    faults.SlowestSync = _world.Random.NextDouble() * 200;
                    break;
                default:
                    Change();
                    break;
            }
        }

        faults.Mend();
        _processes.ForEach(static process => process.Resume());
        Kill();
        await StartAsync();
        var end = _world.Now + HealsWithin;
        while (!_runners.TrueForAll(static runner => runner.Settled.IsCompleted) || await _runners[0].Steps[0].RemainingAsync() > 0)
        {
            if (_world.Now > end)
            {
                _world.Fail($"the backfill has not ended: {_disk.Tables.Backfills.GetValueOrDefault((Step, 1))}");
                return false;
            }

            await Task.Delay(TimeSpan.FromMilliseconds(100), time);
        }

        JudgeEnd();
        return true;
    }

    private async Task FillAsync()
    {
        var process = NewProcess("fill");
        _time = new SimulatedTime(_world, process, _clock);
        var store = _disk.Open("n", () => 1);
        await process.RunAsync(async () =>
        {
            await using var node = await MemoryNode.StartAsync(store, new(), _time, new Random(1), scheduler: process);
            await node.StoreManyAsync([.. Enumerable.Range(0, Rows).Select(static number => new MemoryDraft { Title = $"t {number}", Content = $"v {number}" })], new("a"));
            return 0;
        });
        await store.DisposeAsync();
        process.Die();
        _disk.Crash();
    }

    private Task<int> StartAsync()
    {
        _lives++;
        _processes.Clear();
        _runners.Clear();
        var writing = NewProcess("writer");
        var time = new SimulatedTime(_world, writing, _clock);
        _time = time;
        _processes.Add(writing);
        for (var number = 0; number < Runners; number++)
        {
            _processes.Add(NewProcess($"r{number}"));
        }

        return writing.RunAsync(async () =>
        {
            _store = _disk.Open("n", () => 1);
            _writer = await CommandWriter.StartAsync(_store, writing, time, new Random(_lives));
            var settings = new BackfillSettings { Lease = TimeSpan.FromSeconds(1), Sweep = TimeSpan.FromMilliseconds(200), LargestBatch = 7, LongestRetry = TimeSpan.FromSeconds(2) };
            for (var number = 0; number < Runners; number++)
            {
                var process = _processes[1 + number];
                var step = new DerivedStep(_store, new(Step, 1, static memory => Encoding.UTF8.GetBytes(memory.Content)));
                var runner = new BackfillRunner(_store, _writer, [step], settings, $"{_lives}", $"r{number}", new SimulatedTime(_world, process, _clock));
                _runners.Add(runner);
                runner.Start(new Random(_world.Random.Next()), process);
            }

            return 0;
        });
    }

    private SimulatedProcess NewProcess(string name) => new(_world, $"{name}/{_lives}", (_lives << 8) + _processes.Count + 1);

    private void Kill()
    {
        _world.Record("killed");
        _processes.ForEach(static process => process.Die());
        _disk.Crash();
    }

    /// <summary>Gives a random memory another text, as a caller would.</summary>
    private void Change()
    {
        var writer = _writer!;
        var id = _disk.Tables.Memories.Keys.Order(StringComparer.Ordinal).ElementAt(_world.Random.Next(Rows));
        var content = $"changed {_world.Random.Next()}";
        _processes[0].Post(async () =>
        {
            try
            {
                await writer.RunAsync(async session =>
                {
                    var stamp = session.NextStamp();
                    var own = (await session.FindAsync(id))!.Own;
                    await session.PutAsync(own with { Body = new(new(content, [], "api"), stamp) }, stamp);
                    return 0;
                });
            }
            catch (MemoryException)
            {
                // The disk said no.
            }
        });
    }

    /// <summary>What became durable, against what was there before it.</summary>
    private void Judge(SimulatedDisk disk, DiskRecord record)
    {
        foreach (var after in record.Changes?.Backfills ?? [])
        {
            var before = disk.Tables.Backfills.GetValueOrDefault((after.Step, after.Version));
            _world.Record($"epoch {after.LeaseEpoch} {after.LeaseOwner ?? "-"} {after.State} {after.RowsDone} at {after.Cursor}");
            if (before is null)
            {
                continue;
            }

            if (after.RowsDone < before.RowsDone || after.LeaseEpoch < before.LeaseEpoch || after.LeaseEpoch > before.LeaseEpoch + 1)
            {
                _world.Fail($"progress or epoch went wrong: {before} became {after}");
            }

            var isTaken = after.LeaseEpoch == before.LeaseEpoch + 1;
            var isAlive = before.LeaseExpiresAt > after.UpdatedAt;
            if (isTaken && isAlive && before.LeaseOwner is { } owner && owner != after.LeaseOwner && owner.EndsWith($"@{_lives}", StringComparison.Ordinal))
            {
                _world.Fail($"a lease was taken that had not ended: {before} became {after}");
            }

            if (!isTaken && (after.RowsDone != before.RowsDone || after.Cursor != before.Cursor || record.Changes!.Derived.Count > 0 || after.LeaseExpiresAt > before.LeaseExpiresAt))
            {
                _batches++;
                if (!isAlive)
                {
                    _world.Fail($"a batch was committed under a lease that had ended: {before} became {after}");
                }
            }
        }
    }

    private void JudgeEnd()
    {
        var tables = _disk.Tables;
        if (tables.Backfills[(Step, 1)].State != BackfillState.Complete)
        {
            _world.Fail($"the step is not complete: {tables.Backfills[(Step, 1)]}");
        }

        foreach (var row in tables.Memories.Values)
        {
            if (tables.MarkerOf(row.Row, Step) != "1" || Encoding.UTF8.GetString(tables.Derived[row.Row][Step].Value) != row.View.Content)
            {
                _world.Fail($"{row.Own.Id} holds '{row.View.Content}', its derived value is that of another text");
            }
        }
    }
}
