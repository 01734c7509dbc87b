namespace OrleansMemory.Simulation.Checks;

/// <summary>An operation of one caller on one object.</summary>
/// <param name="Began">When it was called.</param>
/// <param name="Ended">When it answered; null when it never did, and may still take effect.</param>
/// <param name="Step">The state after it, if it may happen in the given state and answer as it did; else null.</param>
public sealed record HistoryStep<TState>(TimeSpan Began, TimeSpan? Ended, Func<TState, StepResult<TState>> Step, string Name);

/// <param name="IsPossible">False: with the answer that was given it cannot have happened in this state.</param>
public readonly record struct StepResult<TState>(bool IsPossible, TState State)
{
    public static StepResult<TState> No => default;
}

/// <summary>
/// Whether a history is linearizable: there is one order of its operations that keeps their order in time and explains every
/// answer. A search with memory of the (operations done, state) that led nowhere (Wing and Gong, 1993; Lowe, 2017).
/// </summary>
public static class Linearizability
{
    public enum Verdict
    {
        Linearizable,
        NotLinearizable,

        /// <summary>The search was given up.</summary>
        Undecided,
    }

    /// <param name="mostSteps">Of the search.</param>
    public static Verdict Check<TState>(IReadOnlyList<HistoryStep<TState>> history, TState start, int mostSteps = 200_000)
        where TState : IEquatable<TState>
    {
        if (history.Count > 128)
        {
            throw new ArgumentException("a history of one object has at most 128 operations", nameof(history));
        }

        var tried = new HashSet<(UInt128 Done, TState State)>();
        var path = new Stack<(UInt128 Done, TState State, int Next)>();
        path.Push((UInt128.Zero, start, 0));
        for (var steps = 0; path.TryPop(out var place); steps++)
        {
            if (steps > mostSteps)
            {
                return Verdict.Undecided;
            }

            if (IsOver(history, place.Done))
            {
                return Verdict.Linearizable;
            }

            var horizon = Horizon(history, place.Done);
            for (var index = place.Next; index < history.Count; index++)
            {
                if ((place.Done >> index & 1) != 0 || history[index].Began > horizon)
                {
                    continue;
                }

                var result = history[index].Step(place.State);
                if (result.IsPossible && tried.Add((place.Done | (UInt128.One << index), result.State)))
                {
                    path.Push(place with { Next = index + 1 });
                    path.Push((place.Done | (UInt128.One << index), result.State, 0));
                    break;
                }
            }
        }

        return Verdict.NotLinearizable;
    }

    /// <summary>Everything that answered is explained; what never answered need not have happened.</summary>
    private static bool IsOver<TState>(IReadOnlyList<HistoryStep<TState>> history, UInt128 done)
    {
        for (var index = 0; index < history.Count; index++)
        {
            if ((done >> index & 1) == 0 && history[index].Ended is not null)
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>The first end of what is not done yet: nothing that began after it can come before it.</summary>
    private static TimeSpan Horizon<TState>(IReadOnlyList<HistoryStep<TState>> history, UInt128 done)
    {
        var horizon = TimeSpan.MaxValue;
        for (var index = 0; index < history.Count; index++)
        {
            if ((done >> index & 1) == 0 && history[index].Ended is { } ended && ended < horizon)
            {
                horizon = ended;
            }
        }

        return horizon;
    }
}
