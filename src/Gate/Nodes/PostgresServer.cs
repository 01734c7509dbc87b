namespace OrleansMemory.Gate.Nodes;

/// <summary>A private PostgreSQL server, started and stopped with <c>om postgres</c>. It ends with this process, however that ends.</summary>
public sealed class PostgresServer : IAsyncDisposable
{
    private readonly Guard _guard;

    private PostgresServer(Guard guard) => _guard = guard;

    /// <summary>Of its database; it has no password, and only this user reaches it.</summary>
    public string Url => _guard.Said;

    /// <param name="om">The program <c>om</c>.</param>
    /// <param name="folder">Of its data; made when missing, kept in the end. Every user must be able to enter the folders above it: as root, another user runs the server.</param>
    /// <exception cref="GateException">PostgreSQL is not installed, or does not start.</exception>
    public static async Task<PostgresServer> StartAsync(string om, string folder)
    {
        try
        {
            return new(await Guard.StartAsync("\"$1\" postgres start --data \"$2\"", "exec \"$1\" postgres stop --data \"$2\"", om, folder));
        }
        catch (GateException exception)
        {
            throw new GateException($"PostgreSQL did not start: {exception.Message}", exception);
        }
    }

    public ValueTask DisposeAsync() => _guard.DisposeAsync();
}
