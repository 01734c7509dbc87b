namespace OrleansMemory.Grains;

/// <summary>
/// When Orleans forgets a call that got no answer. Callers give up sooner, each with its own deadline: these only bound what a silo
/// that does not answer leaves behind.
/// </summary>
internal static class CallTimeouts
{
    public const string Greet = "00:00:05";
    public const string Link = "00:00:15";
    public const string Write = "00:00:30";
}
