using OrleansMemory.Storage;

namespace OrleansMemory.Cli;

/// <summary>A local database: a file, or one of a PostgreSQL server.</summary>
/// <param name="InDataFolder">Nobody chose the place: its folder is made when it is missing. A folder that was named must exist.</param>
internal sealed record DatabaseLocation(StoreLocation Store, bool InDataFolder);
