using OrleansMemory.Compliance;
using OrleansMemory.Core.Replication;
using OrleansMemory.Storage.Sqlite;

namespace OrleansMemory.Storage.Tests.Sqlite;

public sealed class SqliteStoreTests : StoreCompliance, IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("om-store-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    protected override ValueTask<IMemoryStore> OpenAsync(string name, string nodeId) => new(SqliteStore.Open(Path.Combine(_folder, name), nodeId));
}
