using Microsoft.Extensions.Logging;
using OrleansMemory.Api.Configuration;
using OrleansMemory.Api.Hosting;
using OrleansMemory.Core;

namespace OrleansMemory.Peers;

/// <summary>A node among named peers: the front end, and beside it the routes that the peers ask on the same port.</summary>
public static class PeerHost
{
    /// <summary>As <see cref="NodeHost.StartAsync"/>.</summary>
    public static Task<NodeHost> StartAsync(
        NodeOptions options, MemoryNode node, TimeProvider time, TextWriter? output = null, Action<ILoggingBuilder>? configureLogging = null) =>
        NodeHost.StartAsync(options, node, time, output, configureLogging, map: application => ReplicaRoutes.Map(application, node.Endpoint));
}
