using System.Net.Sockets;
using System.Runtime.InteropServices;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using OrleansMemory.Api.Configuration;
using OrleansMemory.Api.Http;
using OrleansMemory.Api.Webhooks;
using OrleansMemory.Core;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Api.Hosting;

/// <summary>
/// A node's front end, in every host: the web server around an <see cref="IMemoryService"/>, its garbage collection, and its orderly end.
/// Logs go to stderr.
/// </summary>
public sealed partial class NodeHost : IAsyncDisposable
{
    /// <summary>A commit waits for the disk and may hold its thread; the pool must not take half a second to notice.</summary>
    private const int MinWorkerThreads = 16;

    private const int MaxConnections = 10_000;

    /// <summary>From the start of the node to the first run of its curator, at most.</summary>
    private static readonly TimeSpan FirstCuration = TimeSpan.FromMinutes(5);

    private static readonly Task<StoreFatalException> Never = new TaskCompletionSource<StoreFatalException>().Task;

    private readonly WebApplication _application;
    private readonly IMemoryService _service;
    private readonly ServingState _state;
    private readonly NodeOptions _options;
    private readonly TimeProvider _time;
    private readonly ILogger<NodeHost> _logger;
    private readonly Func<Task>? _leave;
    private readonly Lock _gate = new();
    private Task? _stopping;

    private NodeHost(WebApplication application, IMemoryService service, NodeOptions options, TimeProvider time, Func<Task>? leave)
    {
        _leave = leave;
        _application = application;
        _service = service;
        _options = options;
        _time = time;
        _state = application.Services.GetRequiredService<ServingState>();
        _logger = application.Services.GetRequiredService<ILogger<NodeHost>>();
        Addresses = [.. application.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Select(address => new Uri(address))];
    }

    /// <summary>Where the node listens, with the port it was given.</summary>
    public IReadOnlyList<Uri> Addresses { get; }

    /// <summary>Starts the node; it serves when the task completes. The host owns the service from now on, also when the start fails.</summary>
    /// <param name="output">Gets one line, <c>ai-memory listening on http://127.0.0.1:9077</c>, once the port is bound.</param>
    /// <param name="configureLogging">Replaces the log on stderr.</param>
    /// <param name="map">Adds the host's own routes, and what stands before the API.</param>
    /// <param name="leave">Ends what stands between other nodes and the service, after the last request and before the service goes.</param>
    /// <exception cref="InvalidOptionException">An option cannot be used, or the address is taken.</exception>
    public static async Task<NodeHost> StartAsync(
        NodeOptions options,
        IMemoryService service,
        TimeProvider time,
        TextWriter? output = null,
        Action<ILoggingBuilder>? configureLogging = null,
        Action<WebApplication>? map = null,
        Func<Task>? leave = null)
    {
        WebApplication? application = null;
        try
        {
            options.Validate();
            RaiseThreadFloor();
            application = Build(options, service, time, configureLogging, map);
            await application.StartAsync();
            var host = new NodeHost(application, service, options, time, leave);
            await host.AnnounceAsync(output);
            if (service is MemoryNode node)
            {
                if (node.VectorsProblem is { } why)
                {
                    host.LogVectorsInMemory(why);
                }

                node.Backfills.Observer = application.Services.GetRequiredService<BackfillLog>().Write;
                node.StartBackfills(new Random());
            }

            return host;
        }
        catch (Exception exception)
        {
            if (application is not null)
            {
                await application.DisposeAsync();
            }

            await DisposeAsync(service);
            throw exception is IOException
                ? new InvalidOptionException($"cannot listen on {options.Host}:{options.Port}: {exception.Message} Set --port or OM_PORT to a free one", exception)
                : exception;
        }
    }

    /// <summary>
    /// Serves until SIGTERM, SIGINT or <paramref name="stop"/>, then drains. A second signal ends the process at once.
    /// </summary>
    /// <exception cref="StoreFatalException">The store can no longer be trusted: the process must end at once and recover from disk.</exception>
    public async Task RunAsync(CancellationToken stop = default)
    {
        var asked = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, OnSignal);
        using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, OnSignal);
        await using var cancelled = stop.Register(() => asked.TrySetResult());
        if (await Task.WhenAny(asked.Task, Fatal) == Fatal)
        {
            var fatal = await Fatal;
            LogFatal(fatal);
            throw fatal;
        }

        await StopAsync();

        void OnSignal(PosixSignalContext context)
        {
            LogSignal(context.Signal);
            context.Cancel = asked.TrySetResult();
        }
    }

    /// <summary>
    /// Refuses new requests, waits for those in flight and then for the peers to hold what this node wrote, at most as long as the
    /// grace allows, closes the port and disposes the service. A second call waits for the first.
    /// </summary>
    public Task StopAsync()
    {
        lock (_gate)
        {
            return _stopping ??= DrainAsync();
        }
    }

    public async ValueTask DisposeAsync() => await StopAsync();

    private Task<StoreFatalException> Fatal => _service is MemoryNode node ? node.Fatal : Never;

    private static WebApplication Build(
        NodeOptions options,
        IMemoryService service,
        TimeProvider time,
        Action<ILoggingBuilder>? configureLogging,
        Action<WebApplication>? map)
    {
        // An empty builder reads no files and no ASPNETCORE_ variables: only our own options count.
        var builder = WebApplication.CreateEmptyBuilder(new() { ApplicationName = "OrleansMemory" });
        builder.Logging.SetMinimumLevel(LogLevels.Of(options.Log));
        builder.Logging.AddFilter("Microsoft", LogLevel.Warning);

        // A logger here makes the server create an activity and a log scope for each request. The gate logs what goes wrong.
        builder.Logging.AddFilter("Microsoft.AspNetCore.Hosting.Diagnostics", LogLevel.None);
        (configureLogging ?? StandardErrorLog.Add)(builder.Logging);
        builder.Services.AddSingleton<IHostLifetime, UnattendedLifetime>();
        builder.Services.AddSingleton(time);
        builder.Services.AddMemoryApi(new()
        {
            ApiKey = options.ApiKey,
            Keys = options.Keys,
            TakesCertificates = options.TlsClientCaPath is not null,
            Warnings = options.ExposureWarnings(),
        }, service);
        builder.Services.AddSingleton<BackfillLog>();
        if (options.Cluster.Role == ClusterRole.Silo)
        {
            // A front end has nothing of its own to sweep; each node sweeps for itself.
            builder.Services.AddHostedService(services =>
                new GarbageCollection(service, options.GcInterval, options.ArchiveMaxDays, time, services.GetRequiredService<ILogger<GarbageCollection>>()));
        }

        if (service is MemoryNode node)
        {
            builder.Services.AddHostedService(services => new WebhookDispatcher(node, options.Webhooks, time, services.GetRequiredService<ILogger<WebhookDispatcher>>()));
        }

        if (service is MemoryNode curated && options.Curator is { Interval: { } interval } curator && (curator.Node is null || curator.Node == curated.Store.Log.Node))
        {
            var first = interval < FirstCuration ? interval : FirstCuration;
            builder.Services.AddHostedService(services =>
                new CuratorLoop(curated, curator.Order, first, interval, time, services.GetRequiredService<ILogger<CuratorLoop>>()));
        }

        builder.Services.Configure<HostOptions>(host => host.ShutdownTimeout = options.ShutdownGrace);
        builder.WebHost.UseKestrelCore();
        builder.WebHost.UseKestrelHttpsConfiguration();
        builder.WebHost.ConfigureKestrel(kestrel => Configure(kestrel, options));
        var application = builder.Build();
        map?.Invoke(application);
        application.UseMemoryApi();

        return application;
    }

    private static void Configure(KestrelServerOptions kestrel, NodeOptions options)
    {
        kestrel.AddServerHeader = false;
        kestrel.Limits.MaxConcurrentConnections = MaxConnections;

        // The API has its own limit, which answers in its own words; what a client sends beyond it is drained for a few seconds.
        kestrel.Limits.MaxRequestBodySize = null;

        // Byte for byte: a header beyond ASCII is the API's to judge.
        kestrel.RequestHeaderEncodingSelector = _ => System.Text.Encoding.Latin1;
        kestrel.Listen(options.ResolveHost(), options.Port, listen =>
        {
            listen.Protocols = options.HasTls ? HttpProtocols.Http1AndHttp2 : HttpProtocols.Http1;
            if (options.HasTls)
            {
                UseTls(listen, options);
            }

            listen.UseCompleteBodies();
        });
    }

    private static void UseTls(ListenOptions listen, NodeOptions options)
    {
        var certificate = PemFiles.ReadCertificate(options.TlsCertificatePath!, options.TlsKeyPath!, "TLS certificate", out var chain);
        listen.UseHttps(https =>
        {
            https.ServerCertificate = certificate;
            https.ServerCertificateChain = chain;
            var allowed = options.MtlsAllowlistPath is { } list ? CertificateAllowlist.Read(list) : null;
            var authorities = options.TlsClientCaPath is { } path ? PemFiles.ReadAuthorities(path, "authority of client certificates") : null;
            if (allowed is not null || authorities is not null)
            {
                // Of an authority a certificate is allowed and not required: health is everybody's to ask for, and a key does as well. A list lets nobody else in.
                https.ClientCertificateMode = allowed is null ? ClientCertificateMode.AllowCertificate : ClientCertificateMode.RequireCertificate;
                https.ClientCertificateValidation = (client, sent, _) =>
                    allowed?.Contains(client) is not false && (authorities is null || ClientCertificates.IsVouchedFor(client, sent?.ChainPolicy.ExtraStore ?? [], authorities));
            }
        });
    }

    private static void RaiseThreadFloor()
    {
        ThreadPool.GetMinThreads(out var workers, out var ports);
        ThreadPool.SetMinThreads(Math.Max(workers, Math.Max(MinWorkerThreads, 2 * Environment.ProcessorCount)), ports);
    }

    private async Task AnnounceAsync(TextWriter? output)
    {
        foreach (var warning in _options.ExposureWarnings())
        {
            LogExposed(warning);
        }

        foreach (var address in Addresses)
        {
            LogListening(address);
            if (output is not null)
            {
                await output.WriteLineAsync($"ai-memory listening on {address.GetLeftPart(UriPartial.Authority)}");
                await output.FlushAsync();
            }
        }
    }

    private async Task DrainAsync()
    {
        // Off the caller's lock and its stack.
        await Task.Yield();
        var started = _time.GetTimestamp();
        LogDraining(_state.InFlight);
        using var grace = new CancellationTokenSource(_options.ShutdownGrace, _time);
        try
        {
            await _state.DrainAsync().WaitAsync(grace.Token);
        }
        catch (OperationCanceledException)
        {
            LogGraceOver(_state.InFlight);
        }

        await FlushPeersAsync(started);

        // What is left of the grace is for answers that are still on their way out.
        try
        {
            await _application.StopAsync(grace.Token);
            await _application.DisposeAsync();
        }
        catch (Exception exception) when (exception is SocketException or IOException)
        {
            // A client that leaves in the very moment in which its connection is closed; nothing waits for it any more.
            LogCloseFailed(exception);
        }
        finally
        {
            try
            {
                await (_leave?.Invoke() ?? Task.CompletedTask);
            }
            finally
            {
                await DisposeAsync(_service);
            }
        }
    }

    /// <summary>What this node wrote goes to the peers that answer before it leaves, for as long as the grace allows.</summary>
    private async Task FlushPeersAsync(long started)
    {
        if (_service is not MemoryNode node)
        {
            return;
        }

        var left = _options.ShutdownGrace - _time.GetElapsedTime(started);
        if (!await node.FlushPeersAsync(left > TimeSpan.Zero ? left : TimeSpan.Zero))
        {
            LogUnflushed();
        }
    }

    private static async ValueTask DisposeAsync(IMemoryService service)
    {
        switch (service)
        {
            case IAsyncDisposable disposable:
                await disposable.DisposeAsync();
                break;
            case IDisposable disposable:
                disposable.Dispose();
                break;
            default:
                break;
        }
    }
}

/// <summary>Leaves signals to <see cref="NodeHost.RunAsync"/>.</summary>
internal sealed class UnattendedLifetime : IHostLifetime
{
    public Task WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
}
