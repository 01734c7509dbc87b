using OrleansMemory.Storage.Postgres;

namespace OrleansMemory.Compliance;

/// <summary>One private PostgreSQL server for a test assembly, and databases of it under names that are new to the run.</summary>
public sealed class PostgresDatabases : IAsyncLifetime
{
    private LocalPostgres? _server;

    public LocalPostgres Server => _server ?? throw new InvalidOperationException("the server is not installed");

    public async ValueTask InitializeAsync()
    {
        if (LocalPostgres.FindBinaries() is not null)
        {
            _server = await LocalPostgres.StartAsync();
        }
    }

    /// <summary>Skips the test that asks, saying why, where PostgreSQL is not installed.</summary>
    public Task<string> CreateAsync(string name)
    {
        Assert.SkipWhen(_server is null, LocalPostgres.HowToInstall);
        return Server.CreateDatabaseAsync(name);
    }

    public async ValueTask DisposeAsync()
    {
        if (_server is not null)
        {
            await _server.DisposeAsync();
        }
    }
}
