using OrleansMemory.Gate.Campaigns;
using OrleansMemory.Gate.Verdicts;

namespace OrleansMemory.Gate.Soaks;

/// <summary>Runs a campaign at planned instants. Started again over the same folder it goes on with the next run that is due.</summary>
/// <param name="folder">Holds <c>soak.json</c>, a folder for each run, and the page of them all.</param>
/// <param name="every">From one planned instant to the next.</param>
/// <param name="runs">How many are planned.</param>
/// <param name="keepGoing">Go on after a red run; the soak comes out red all the same.</param>
/// <param name="runOne">Runs one campaign into a folder that is not there yet.</param>
public sealed class Soak(string folder, TimeSpan every, int runs, bool keepGoing, Func<string, CancellationToken, Task<Verdict>> runOne, TimeProvider time)
{
    private const string LockName = "soak.lock";

    /// <summary>The clock is looked at so often while the next run is awaited: a machine that slept has missed some.</summary>
    private static readonly TimeSpan LongestWait = TimeSpan.FromMinutes(1);

    /// <returns>Pass: every planned run was started in its time, and its evidence is green and verifies. Else the worst of what was found, as soon as it was unless told to keep going.</returns>
    /// <exception cref="GateException">The folder holds something else, or another soak runs in it.</exception>
    /// <exception cref="OperationCanceledException">The run that was on its way is red.</exception>
    public async Task<Verdict> RunAsync(CancellationToken cancellationToken)
    {
        if (every <= TimeSpan.Zero || runs <= 0)
        {
            throw new GateException($"a soak runs at least once, and some time lies between its runs: every {every}, {runs} runs");
        }

        Directory.CreateDirectory(folder);
        await using var @lock = Lock();
        var state = Open();
        while (true)
        {
            var now = time.GetUtcNow();
            var rows = SoakRow.Of(folder, state, now);
            TrendPage.Write(folder, state, rows);
            var next = state.Runs.FirstOrDefault(run => run.StartedAt is null && !state.IsOver(run, now));
            if (next is null || (!keepGoing && rows.Any(static row => row.IsRed)))
            {
                return Evaluator.Worst(rows.Where(static row => row.Verdict is not null).Select(static row => row.Verdict!.Value));
            }

            if (now < next.PlannedAt)
            {
                await WaitAsync(next.PlannedAt, cancellationToken);
            }
            else
            {
                state = await RunAsync(state, next with { StartedAt = now }, cancellationToken);
            }
        }
    }

    /// <summary>A run that was on its way when the soak ended stays without a result.</summary>
    private SoakState Open()
    {
        if (!SoakState.IsIn(folder))
        {
            if (Directory.EnumerateFileSystemEntries(folder).Any(static entry => Path.GetFileName(entry) != LockName))
            {
                throw new GateException($"{folder} is not empty and holds no soak: name another folder with --out");
            }

            var planned = SoakState.Plan(every, time.GetUtcNow(), runs);
            planned.Write(folder);
            return planned;
        }

        var state = SoakState.Read(folder);
        if (state.Every != every || state.Runs.Count != runs)
        {
            throw new GateException($"{folder} holds a soak every {state.Every} of {state.Runs.Count} runs: name another folder with --out, or the same --every and --runs");
        }

        state = state with { Runs = [.. state.Runs.Select(static run => run is { StartedAt: not null, Outcome: null } ? Interrupted(run) : run)] };
        state.Write(folder);
        return state;
    }

    private async Task<SoakState> RunAsync(SoakState state, SoakRun run, CancellationToken cancellationToken)
    {
        state.With(run).Write(folder);
        SoakRun ended;
        try
        {
            ended = run with { Outcome = await runOne(Path.Combine(folder, run.Folder), cancellationToken) };
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            state = state.With(Interrupted(run));
            state.Write(folder);
            TrendPage.Write(folder, state, SoakRow.Of(folder, state, time.GetUtcNow()));
            throw;
        }
        catch (Exception exception)
        {
            ended = run with { Outcome = Verdict.HarnessError, Error = exception.Message };
        }

        state = state.With(ended with { EndedAt = time.GetUtcNow() });
        state.Write(folder);
        return state;
    }

    private static SoakRun Interrupted(SoakRun run) => run with { Outcome = Verdict.HarnessError, Error = "it was interrupted" };

    private async Task WaitAsync(DateTimeOffset until, CancellationToken cancellationToken)
    {
        while (until - time.GetUtcNow() is var left && left > TimeSpan.Zero)
        {
            await Task.Delay(left < LongestWait ? left : LongestWait, time, cancellationToken);
        }
    }

    private FileStream Lock()
    {
        try
        {
            return new(Path.Combine(folder, LockName), FileMode.OpenOrCreate, FileAccess.Write, FileShare.None, bufferSize: 1, FileOptions.DeleteOnClose);
        }
        catch (IOException exception)
        {
            throw new GateException($"another soak runs in {folder}", exception);
        }
    }
}
