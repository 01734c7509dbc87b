using OrleansMemory.Compliance;

namespace OrleansMemory.Silo.Tests;

/// <summary>A cluster of silos with a front end, for all who ask only what a host answers.</summary>
public sealed class ServedSilos : IAsyncLifetime
{
    private const int Last = SiloCluster.Count - 1;

    private SiloCluster _cluster = null!;
    private FrontEndProcess _frontEnd = null!;

    /// <summary>Of the silos that are never away.</summary>
    public IReadOnlyList<Uri> Silos => [.. _cluster.Processes.Addresses.Take(Last)];

    public Uri FrontEnd => _frontEnd.Address;

    public async ValueTask InitializeAsync()
    {
        _cluster = await SiloCluster.StartAsync();
        _frontEnd = await FrontEndProcess.StartAsync(_cluster.Processes.ClusterDatabaseLocation);
        using var http = new HttpClient();
        await Eventually.HoldsAsync("the front end is ready", async () => (await http.GetAsync(new Uri(FrontEnd, "/readyz"))).IsSuccessStatusCode);
    }

    public async ValueTask DisposeAsync()
    {
        await _frontEnd.DisposeAsync();
        await _cluster.DisposeAsync();
    }

    public async Task<IAsyncDisposable> WithoutANodeAsync()
    {
        await _cluster.KillAsync(Last);
        return new Return(_cluster);
    }

    private sealed class Return(SiloCluster cluster) : IAsyncDisposable
    {
        public async ValueTask DisposeAsync()
        {
            await cluster.StartAsync(Last);
            await cluster.ReadyAsync();
        }
    }
}

[CollectionDefinition("served silos")]
public sealed class ServedSilosCollection : ICollectionFixture<ServedSilos>;

/// <summary>Three silos.</summary>
[Collection("served silos")]
public sealed class SiloHostComplianceTests(ServedSilos silos) : HostCompliance
{
    protected override IReadOnlyList<Uri> Addresses => silos.Silos;

    protected override Task<IAsyncDisposable> WithoutANodeAsync() => silos.WithoutANodeAsync();
}

/// <summary>A front end of three silos: every route works through it.</summary>
[Collection("served silos")]
public sealed class FrontEndComplianceTests(ServedSilos silos) : HostCompliance
{
    protected override IReadOnlyList<Uri> Addresses => [silos.FrontEnd];

    protected override Task<IAsyncDisposable> WithoutANodeAsync() => silos.WithoutANodeAsync();
}
