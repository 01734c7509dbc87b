using OrleansMemory.Api.Mcp;
using OrleansMemory.Core;

namespace OrleansMemory.Cli.Mcp;

/// <summary>
/// Calls on a local database that other programs use too: it is open while calls run and for a moment after, so that commands of scripts and further clients
/// have their turn, and a client that dies leaves nothing locked.
/// </summary>
internal sealed class DatabaseCalls(Session session, TimeSpan gcInterval, TimeProvider time) : IAsyncDisposable
{
    /// <summary>Spares calls that follow each other the opening; well below the patience of other programs.</summary>
    private static readonly TimeSpan Linger = TimeSpan.FromMilliseconds(300);

    private readonly SemaphoreSlim _turn = new(1, 1);
    private readonly NodeSettings _settings = session.Configuration.ToNodeSettings();
    private LocalService? _open;
    private ITimer? _closing;
    private long? _collected;
    private bool _disposed;

    /// <param name="agentId">The caller.</param>
    public async Task<ToolAnswer> RunAsync(string agentId, Func<ToolCaller, Task<ToolAnswer>> run)
    {
        await _turn.WaitAsync();
        try
        {
            _closing?.Dispose();
            _closing = null;
            var node = (_open ??= await OpenAsync()).Service;
            if (_collected is not { } last || time.GetElapsedTime(last) >= gcInterval)
            {
                await node.CollectGarbageAsync();
                _collected = time.GetTimestamp();
            }

            return await run(new(node, agentId));
        }
        finally
        {
            if (_open is not null)
            {
                _closing = time.CreateTimer(_ => _ = CloseIdleAsync(), null, Linger, Timeout.InfiniteTimeSpan);
            }

            _turn.Release();
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _turn.WaitAsync();
        _disposed = true;
        await CloseAsync();
        _turn.Release();
    }

    private async Task<LocalService> OpenAsync()
    {
        var opened = await LocalService.OpenAsync(session.Database, _settings);
        if (session.Configuration.Models.Embedder is not null)
        {
            // Memories without vectors get them while it is open.
            opened.Service.StartBackfills(new Random());
        }

        return opened;
    }

    private async Task CloseIdleAsync()
    {
        await _turn.WaitAsync();
        try
        {
            // Another call may have come between.
            if (_closing is not null && !_disposed)
            {
                await CloseAsync();
            }
        }
        finally
        {
            _turn.Release();
        }
    }

    private async Task CloseAsync()
    {
        _closing?.Dispose();
        _closing = null;
        if (_open is { } open)
        {
            _open = null;
            await open.DisposeAsync();
        }
    }
}
