namespace OrleansMemory.Cli;

/// <summary>The file of a local database.</summary>
/// <param name="Path">Absolute.</param>
/// <param name="InDataFolder">Nobody chose the place: its folder is made when it is missing. A folder that was named must exist.</param>
internal sealed record DatabaseLocation(string Path, bool InDataFolder);
