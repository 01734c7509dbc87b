using System.Diagnostics;
using System.Net;
using OrleansMemory.Gate.Nodes;

namespace OrleansMemory.Gate.Tests.Nodes;

/// <summary>Nodes as children of this process.</summary>
public sealed class NodeSetTests : IDisposable
{
    private readonly ScratchFolder _folder = new();

    [Fact]
    public async Task A_program_that_is_missing_is_named()
    {
        var failure = await Assert.ThrowsAsync<GateException>(() => NodeSet.StartAsync(new(_folder.Path, NodesKind.Peers, "/no/such/om")));
        Assert.Contains("/no/such/om", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_node_that_does_not_start_says_why()
    {
        var plan = new NodesPlan(_folder.Path, NodesKind.Peers, Programs.Om) { Count = 1, ServeOptions = ["--tls-cert", "/no/such/file"] };
        var failure = await Assert.ThrowsAsync<GateException>(() => NodeSet.StartAsync(plan));
        Assert.Contains("n1 did not start", failure.Message, StringComparison.Ordinal);
        Assert.Contains("tls", failure.Message, StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public async Task A_node_keeps_its_address_and_its_data_and_ends_with_the_set()
    {
        int last;
        await using (var nodes = await NodeSet.StartAsync(new(_folder.Path, NodesKind.Peers, Programs.Om) { Count = 1, QuorumWrites = 1 }))
        {
            var address = nodes.AddressOf(0);
            Assert.Equal(HttpStatusCode.Created, await nodes.StoreAsync(0, "before"));
            Assert.Equal(0, await nodes.StopNodeAsync(0));
            Assert.False(nodes.IsRunning(0));
            Assert.False(await nodes.IsReadyAsync(0));
            await nodes.CopyDatabaseAsync(0);
            await nodes.StartNodeAsync(0);
            Assert.Equal(HttpStatusCode.Created, await nodes.StoreAsync(0, "after"));
            await nodes.KillAsync(0);
            await nodes.KillAsync(0);
            await nodes.StartNodeAsync(0);
            Assert.Equal(address, nodes.AddressOf(0));
            Assert.Equal(["after", "before"], await nodes.TitlesAsync(0));
            await Assert.ThrowsAsync<InvalidOperationException>(() => nodes.ReplaceByEmptyAsync(0));
            await nodes.KillAsync(0);
            await nodes.RestoreCopyAsync(0);
            await nodes.StartNodeAsync(0);
            Assert.Equal(["before"], await nodes.TitlesAsync(0));
            await nodes.KillAsync(0);
            await nodes.ReplaceByEmptyAsync(0);
            await nodes.StartNodeAsync(0);
            Assert.Empty(await nodes.TitlesAsync(0));

            // It ended by itself, as far as the set can tell.
            using (var process = Process.GetProcessById(nodes.ProcessIdOf(0)))
            {
                process.Kill();
                await process.WaitForExitAsync();
            }

            await nodes.ReadyAsync();
            Assert.Equal(1, nodes.RevivalsOf(0));
            await nodes.SuspendAsync(0);
            Assert.True(nodes.IsRunning(0));
            await Assert.ThrowsAsync<TimeoutException>(() => nodes.WaitReadyAsync(TimeSpan.Zero));
            last = nodes.ProcessIdOf(0);
        }

        Assert.Throws<ArgumentException>(() => Process.GetProcessById(last));
    }

    public void Dispose() => _folder.Dispose();
}
