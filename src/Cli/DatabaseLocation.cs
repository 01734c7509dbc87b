namespace OrleansMemory.Cli;

/// <summary>The file of a local database.</summary>
/// <param name="Path">Absolute.</param>
/// <param name="IsDefault">Nobody named it; its folder is made when it is missing.</param>
internal sealed record DatabaseLocation(string Path, bool IsDefault)
{
    /// <summary>
    /// The option, <c>OM_DB</c>, <c>AI_MEMORY_DB</c>, else by the program's name: <c>ai-memory.db</c> in the working directory for
    /// <c>ai-memory</c>, <c>orleans-memory.db</c> in the user's data folder for <c>om</c>.
    /// </summary>
    public static DatabaseLocation Resolve(Invocation invocation, string? option)
    {
        if ((option ?? Variables.Read("DB")) is { Length: > 0 } named)
        {
            return new(System.IO.Path.GetFullPath(named), IsDefault: false);
        }

        if (invocation.IsAiMemory)
        {
            return new(System.IO.Path.GetFullPath("ai-memory.db"), IsDefault: true);
        }

        var data = Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData, Environment.SpecialFolderOption.DoNotVerify);
        return new(System.IO.Path.GetFullPath(System.IO.Path.Combine(data, "orleans-memory.db")), IsDefault: true);
    }
}
