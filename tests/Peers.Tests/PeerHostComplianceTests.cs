using OrleansMemory.Compliance;

namespace OrleansMemory.Peers.Tests;

/// <summary>Three named peers.</summary>
public sealed class PeerHostComplianceTests(PeerHostComplianceTests.Peers peers) : HostCompliance, IClassFixture<PeerHostComplianceTests.Peers>
{
    protected override IReadOnlyList<Uri> Addresses => peers.Addresses;

    protected override string ApiKey => TestCluster.Key;

    protected override Task<IAsyncDisposable> WithoutANodeAsync() => peers.WithoutANodeAsync();

    public sealed class Peers : IAsyncLifetime
    {
        private const int Last = 2;

        private TestCluster _cluster = null!;

        /// <summary>Of those that are never away.</summary>
        public IReadOnlyList<Uri> Addresses => [.. Enumerable.Range(0, Last).Select(_cluster.Address)];

        public async ValueTask InitializeAsync() => _cluster = await TestCluster.StartAsync();

        public ValueTask DisposeAsync() => _cluster.DisposeAsync();

        public async Task<IAsyncDisposable> WithoutANodeAsync()
        {
            await _cluster.StopAsync(Last);
            return new Return(_cluster);
        }

        private sealed class Return(TestCluster cluster) : IAsyncDisposable
        {
            public async ValueTask DisposeAsync()
            {
                await cluster.StartAsync(Last);
                await cluster.ConnectedAsync();
            }
        }
    }
}
