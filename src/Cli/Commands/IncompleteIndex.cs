namespace OrleansMemory.Cli.Commands;

internal static class IncompleteIndex
{
    /// <summary>On standard error, so that scripts read the hits as ever.</summary>
    public static void Warn(Session session, bool isComplete)
    {
        if (!isComplete)
        {
            session.Error.WriteLine("the full-text index is still being built: some memories may be missing from this answer");
        }
    }
}
