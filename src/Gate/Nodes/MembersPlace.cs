namespace OrleansMemory.Gate.Nodes;

/// <summary>Where the silos of a campaign keep who is a member: in a private PostgreSQL server, or in files where none can be started.</summary>
internal sealed class MembersPlace : IAsyncDisposable
{
    public const string Postgres = "PostgreSQL";

    private readonly PostgresServer? _server;

    private MembersPlace(PostgresServer? server, string told)
    {
        _server = server;
        Told = told;
    }

    /// <summary><see cref="Postgres"/>; or that it is a file, and why.</summary>
    public string Told { get; }

    /// <summary>Null: a file in the folder of each set of nodes.</summary>
    public string? Url => _server?.Url;

    /// <param name="om">The program <c>om</c>.</param>
    /// <param name="folder">Of the server's data.</param>
    public static async Task<MembersPlace> OpenAsync(string om, string folder)
    {
        try
        {
            return new(await PostgresServer.StartAsync(om, folder), Postgres);
        }
        catch (GateException exception)
        {
            return new(null, $"a file: {exception.Message}");
        }
    }

    public ValueTask DisposeAsync() => _server?.DisposeAsync() ?? ValueTask.CompletedTask;
}
