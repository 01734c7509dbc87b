using System.Text.Json.Serialization;
using OrleansMemory.Gate.Evidence;
using OrleansMemory.Gate.Verdicts;

namespace OrleansMemory.Gate.Soaks;

/// <summary>A soak: the same campaign again and again. What is planned, and what was started of it, is <c>soak.json</c> in its folder.</summary>
/// <param name="Every">From one planned instant to the next; a run that was not started within it is missed.</param>
public sealed record SoakState(TimeSpan Every, DateTimeOffset StartedAt, IReadOnlyList<SoakRun> Runs)
{
    internal const string Name = "soak.json";

    internal static SoakState Plan(TimeSpan every, DateTimeOffset startedAt, int runs) =>
        new(every, startedAt, [.. Enumerable.Range(1, runs).Select(ordinal => new SoakRun(ordinal, FolderOf(ordinal), startedAt + (every * (ordinal - 1))))]);

    internal static bool IsIn(string folder) => File.Exists(Path.Combine(folder, Name));

    /// <exception cref="GateException">It cannot be read, or is not what a soak writes.</exception>
    internal static SoakState Read(string folder)
    {
        SoakState state;
        try
        {
            state = new EvidenceFolder(folder).Read<SoakState>(Name);
        }
        catch (InvalidDataException exception)
        {
            throw new GateException($"{Path.Combine(folder, Name)}: {exception.Message}", exception);
        }

        var planned = Plan(state.Every, state.StartedAt, state.Runs.Count).Runs;
        return planned.Zip(state.Runs).All(static pair => pair.Second is { } run && run with { StartedAt = null, EndedAt = null, Outcome = null, Error = null } == pair.First)
            ? state
            : throw new GateException($"{Path.Combine(folder, Name)}: its runs are not those that a soak every {state.Every} plans");
    }

    internal void Write(string folder) => new EvidenceFolder(folder).Write(Name, this);

    internal SoakState With(SoakRun changed) => this with { Runs = [.. Runs.Select(run => run.Ordinal == changed.Ordinal ? changed : run)] };

    /// <summary>Its time has passed: it is not to be started any more.</summary>
    internal bool IsOver(SoakRun run, DateTimeOffset now) => now >= run.PlannedAt + Every;

    private static string FolderOf(int ordinal) => $"run-{ordinal:000}";
}

/// <param name="Folder">Below that of the soak.</param>
/// <param name="StartedAt">Null: it was not started.</param>
/// <param name="Outcome">What the campaign said of itself when it ended; null: it has not ended.</param>
/// <param name="Error">Why it ended without a result.</param>
public sealed record SoakRun(
    int Ordinal,
    string Folder,
    DateTimeOffset PlannedAt,
    DateTimeOffset? StartedAt = null,
    DateTimeOffset? EndedAt = null,
    [property: JsonConverter(typeof(JsonStringEnumConverter<Verdict>))] Verdict? Outcome = null,
    string? Error = null);
