using OrleansMemory.Simulation.Checks;

namespace OrleansMemory.Simulation.Workload;

/// <summary>What is run: with the same options the same happens, step by step.</summary>
/// <param name="Steps">Operations of all callers together.</param>
public sealed record RunOptions(long Seed, int Steps)
{
    /// <summary>Numbers of operations that are left out, for a smaller run that fails alike.</summary>
    public IReadOnlySet<int> WithoutOperations { get; init; } = new HashSet<int>();

    /// <summary>Numbers of faults that are left out.</summary>
    public IReadOnlySet<int> WithoutFaults { get; init; } = new HashSet<int>();

    /// <summary>Gets a line for everything that happens.</summary>
    public Action<string>? Log { get; init; }
}

/// <summary>How a run ended.</summary>
/// <param name="Failure">Null when every check held.</param>
/// <param name="Faults">How many were injected.</param>
/// <param name="Undecided">Histories whose linearizability could not be told within bounds.</param>
public sealed record RunResult(
    long Seed, ulong TraceHash, string? Failure, long Continuations, TimeSpan VirtualTime, int Acknowledged, int Faults, SetFullResult Set, int Undecided);
