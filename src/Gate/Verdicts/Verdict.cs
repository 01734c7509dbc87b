namespace OrleansMemory.Gate.Verdicts;

/// <summary>What an assertion, a phase or a campaign came to, from good to bad. Anything but <see cref="Pass"/> is red.</summary>
public enum Verdict
{
    Pass,

    /// <summary>It was declared, and the campaign ended before it.</summary>
    NotRun,

    /// <summary>The product does not do what it promises.</summary>
    Fail,

    /// <summary>Nothing can be said of the product: an observation is missing, empty, unreadable, too small or was never declared.</summary>
    HarnessError,
}
