using System.Text.Json.Serialization;

namespace OrleansMemory.Gate.Verdicts;

/// <summary>What a campaign declares before it runs.</summary>
/// <param name="Id">Unique in the campaign: <c>phase4.pause.lost</c>.</param>
/// <param name="Description">What must hold, in words.</param>
/// <param name="Op"><c>==</c>, <c>&gt;=</c> or <c>&lt;=</c>, between what was observed and what is expected.</param>
/// <param name="MinSample">So many cases at least must have been looked at.</param>
public sealed record AssertionSpec(string Id, string Description, string Op, Scalar Expected, long MinSample = 1);

/// <param name="Actual">Null: nothing came out.</param>
/// <param name="SampleSize">How many cases were looked at.</param>
public sealed record Observation(Scalar? Actual, long SampleSize = 1);

/// <summary>A declared assertion with what was observed, and what that makes of it.</summary>
/// <param name="Reason">Of anything but Pass.</param>
public sealed record Assertion(
    string Id,
    string Description,
    Scalar? Expected,
    string Op,
    Scalar? Actual,
    long SampleSize,
    long MinSample,
    [property: JsonConverter(typeof(JsonStringEnumConverter<Verdict>))] Verdict Verdict,
    string? Reason = null)
{
    /// <summary>Holds an observation against what was declared.</summary>
    /// <param name="observation">Null: there is none.</param>
    /// <param name="why">Why there is none, when that is known.</param>
    public static Assertion Judge(AssertionSpec spec, Observation? observation, string? why = null)
    {
        var (verdict, reason) = Compare(spec, observation, why);
        return new(spec.Id, spec.Description, spec.Expected, spec.Op, observation?.Actual, observation?.SampleSize ?? 0, spec.MinSample, verdict, reason);
    }

    /// <summary>It was never reached.</summary>
    public static Assertion NotRun(AssertionSpec spec) => new(spec.Id, spec.Description, spec.Expected, spec.Op, null, 0, spec.MinSample, Verdict.NotRun, "the campaign ended before it");

    /// <summary>Something was observed that nobody declared.</summary>
    public static Assertion Extra(string id, Observation observation) =>
        new(id, "was not declared", null, "==", observation.Actual, observation.SampleSize, 0, Verdict.HarnessError, "it was observed and not declared");

    private static (Verdict Verdict, string? Reason) Compare(AssertionSpec spec, Observation? observation, string? why) => observation switch
    {
        null => (Verdict.HarnessError, why ?? "nothing was observed"),
        { Actual: null } => (Verdict.HarnessError, why ?? "the observation is empty"),
        { Actual: var actual } when actual.Number is null != spec.Expected.Number is null => (Verdict.HarnessError, $"{actual} is no {(spec.Expected.Number is null ? "word" : "number")}"),
        { SampleSize: 0 } when spec.MinSample > 0 => (Verdict.HarnessError, $"nothing was looked at, at least {spec.MinSample} cases are wanted"),

        // One case against it is enough, however few were looked at.
        { Actual: var actual } when Holds(spec, actual) == false => (Verdict.Fail, $"{actual}, {spec.Op} {spec.Expected} is wanted"),
        { SampleSize: var size } when size < spec.MinSample => (Verdict.HarnessError, $"a sample of {size}, at least {spec.MinSample} is wanted"),
        { Actual: var actual } when Holds(spec, actual) == true => (Verdict.Pass, null),
        _ => (Verdict.HarnessError, $"{spec.Op} cannot compare with {spec.Expected}"),
    };

    /// <summary>Null: the two cannot be compared so.</summary>
    private static bool? Holds(AssertionSpec spec, Scalar actual) => (spec.Op, actual.Number, spec.Expected.Number) switch
    {
        ("==", _, _) => actual == spec.Expected,
        (">=", { } number, { } least) => number >= least,
        ("<=", { } number, { } most) => number <= most,
        _ => null,
    };
}
