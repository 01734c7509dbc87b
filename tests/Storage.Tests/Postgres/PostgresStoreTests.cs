using OrleansMemory.Compliance;
using OrleansMemory.Core.Replication;
using OrleansMemory.Storage.Postgres;

[assembly: AssemblyFixture(typeof(PostgresDatabases))]

namespace OrleansMemory.Storage.Tests.Postgres;

public sealed class PostgresStoreTests(PostgresDatabases databases) : StoreCompliance
{
    protected override async ValueTask<IMemoryStore> OpenAsync(string name, string nodeId) =>
        await PostgresStore.OpenAsync(PostgresUrl.Parse(await databases.CreateAsync(name)), nodeId);
}
