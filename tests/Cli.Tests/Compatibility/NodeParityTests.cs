using Microsoft.Extensions.Logging;
using OrleansMemory.Api.Configuration;
using OrleansMemory.Api.Hosting;
using OrleansMemory.Core;
using OrleansMemory.Storage.Sqlite;

namespace OrleansMemory.Cli.Tests.Compatibility;

/// <summary>The commands say the same of a node, named by <c>OM_URL</c>, as of a database: the same checks, over HTTP.</summary>
public sealed class NodeParityTests
{
    /// <summary>They are about files, or start nodes of their own.</summary>
    private static readonly string[] Local = ["backup", "migrate", "sync", "serve", "sync-daemon", "mcp", "completions", "man", "help"];

    public static TheoryData<string> Commands => [.. ReferenceCommands.All.DistinctBy(static row => row.Check).Select(static row => row.Name).Except(Local)];

    [Theory]
    [MemberData(nameof(Commands))]
    public async Task A_command_says_the_same_of_a_node(string name)
    {
        await using var node = await Node.StartAsync();
        using var probe = new Probe("om", node.Url);
        await ReferenceCommands.All.First(known => known.Name == name).Check(probe);
        Assert.False(File.Exists(probe.Database), "a database of its own was made beside the node's");
    }

    /// <summary>In this process: its own sockets, its own store, and no start of a program.</summary>
    private sealed class Node(NodeHost host, SqliteStore store, DirectoryInfo folder) : IAsyncDisposable
    {
        public string Url => host.Addresses[0].GetLeftPart(UriPartial.Authority);

        public static async Task<Node> StartAsync()
        {
            var folder = Directory.CreateTempSubdirectory("om-parity-");
            var options = new NodeOptions { Port = 0 };
            var store = SqliteStore.Open(Path.Combine(folder.FullName, "node.db"));
            var node = await MemoryNode.StartAsync(store, options.ToNodeSettings(), TimeProvider.System, new Random());
            return new(await NodeHost.StartAsync(options, node, TimeProvider.System, configureLogging: static logging => logging.ClearProviders()), store, folder);
        }

        public async ValueTask DisposeAsync()
        {
            await host.DisposeAsync();
            await store.DisposeAsync();
            folder.Delete(recursive: true);
        }
    }
}
