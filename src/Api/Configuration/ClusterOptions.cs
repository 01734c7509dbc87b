using System.Net;
using System.Net.Sockets;

namespace OrleansMemory.Api.Configuration;

/// <summary>What a process does in an Orleans cluster.</summary>
public enum ClusterRole
{
    /// <summary>Holds a replica and serves the API.</summary>
    Silo,

    /// <summary>Serves the API only: a client of the cluster, without a store.</summary>
    FrontEnd,
}

/// <summary>What an operator can set for a process in an Orleans cluster.</summary>
public sealed record ClusterOptions
{
    public const int DefaultSiloPort = 11_111;
    public const int DefaultGatewayPort = 30_000;

    public ClusterRole Role { get; init; }

    /// <summary>All silos of one cluster have the same.</summary>
    public string Id { get; init; } = "orleans-memory";

    /// <summary>Where members, reminders and the state of grains are kept: a PostgreSQL connection, or a file for silos of one machine.</summary>
    public string? Database { get; init; }

    /// <summary>The node ids of all silos that hold a replica, this one included: N of them.</summary>
    public IReadOnlyList<string> Nodes { get; init; } = [];

    /// <summary>Where other silos reach this one; null: the address that it listens on.</summary>
    public string? AdvertisedAddress { get; init; }

    /// <summary>Silos talk here, without authentication: a private network only.</summary>
    public int SiloPort { get; init; } = DefaultSiloPort;

    /// <summary>Front ends talk here, without authentication: a private network only.</summary>
    public int GatewayPort { get; init; } = DefaultGatewayPort;

    /// <summary>Serve Orleans' own dashboard under <c>/dashboard</c>, behind the API key.</summary>
    public bool Dashboard { get; init; }

    /// <exception cref="InvalidOptionException">Neither <c>silo</c> nor <c>frontend</c>.</exception>
    public static ClusterRole ParseRole(string text) => text switch
    {
        "silo" => ClusterRole.Silo,
        "frontend" => ClusterRole.FrontEnd,
        _ => throw new InvalidOptionException($"{text} is no role: set --role or OM_ROLE to silo or frontend"),
    };

    /// <summary>Node ids from comma lists.</summary>
    public static IReadOnlyList<string> ParseNodes(IEnumerable<string> lists) =>
        [.. lists.SelectMany(static list => list.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))];

    /// <exception cref="InvalidOptionException"/>
    public void Validate(NodeOptions node)
    {
        Require(Id.Length is > 0 and <= 150, "the cluster needs a name of at most 150 characters: set --cluster-id or OM_CLUSTER_ID");
        Require(Database is { Length: > 0 }, "the cluster's database is not named: set --cluster-db or OM_CLUSTER_DB to a PostgreSQL connection, or to a file when all silos run on this machine");
        Require(Nodes.Count > 0, "the silos that hold a replica are not named: set --cluster-nodes or OM_CLUSTER_NODES to a list of all of them, such as n1,n2,n3");
        Require(Nodes.Distinct(StringComparer.Ordinal).Count() == Nodes.Count, "a node is named twice in --cluster-nodes or OM_CLUSTER_NODES");
        Require(node.QuorumPeers.Count == 0, "the nodes of a cluster are those of --cluster-nodes: take --quorum-peers (OM_QUORUM_PEERS) away");
        if (Role == ClusterRole.FrontEnd)
        {
            Require(node.NodeId is null, "a front end is no node: take --node-id (OM_NODE_ID) away, or set --role or OM_ROLE to silo");
            Require(!Dashboard, "silos serve the dashboard, front ends do not: take --dashboard (OM_DASHBOARD) away");
            return;
        }

        Require(node.NodeId is not null, "a silo needs a name that stays the same when it is started again: set --node-id or OM_NODE_ID");
        Require(Nodes.Contains(node.NodeId!, StringComparer.Ordinal), $"the silo {node.NodeId} is not among the cluster's nodes ({string.Join(',', Nodes)}): set --cluster-nodes or OM_CLUSTER_NODES, or --node-id or OM_NODE_ID");
        Require(SiloPort is > 0 and <= 65_535, $"the silo port must be between 1 and 65535, not {SiloPort}: set --silo-port or OM_SILO_PORT");
        Require(GatewayPort is >= 0 and <= 65_535, $"the gateway port must be between 0 (none) and 65535, not {GatewayPort}: set --gateway-port or OM_GATEWAY_PORT");
        Require(!Dashboard || node.ApiKey is not null, "the dashboard is served only behind a key: set OM_API_KEY, or take --dashboard (OM_DASHBOARD) away");
        _ = ResolveAddress(node);
    }

    /// <summary>Where other silos reach this one.</summary>
    /// <exception cref="InvalidOptionException">The name has no address.</exception>
    public IPAddress ResolveAddress(NodeOptions node)
    {
        var address = AdvertisedAddress is null ? node.ResolveHost() : Resolve(AdvertisedAddress);
        Require(
            !address.Equals(IPAddress.Any) && !address.Equals(IPAddress.IPv6Any),
            "other silos need one address of this machine: set --advertise or OM_ADVERTISE to it");
        return address;
    }

    private static IPAddress Resolve(string name)
    {
        if (IPAddress.TryParse(name.Trim('[', ']'), out var address))
        {
            return address;
        }

        try
        {
            var known = Dns.GetHostAddresses(name);
            return Array.Find(known, static candidate => candidate.AddressFamily == AddressFamily.InterNetwork) ?? known[0];
        }
        catch (Exception exception) when (exception is SocketException or ArgumentException or IndexOutOfRangeException)
        {
            throw new InvalidOptionException($"{name} has no address: set --advertise or OM_ADVERTISE to the address that other silos reach this machine by", exception);
        }
    }

    private static void Require(bool condition, string otherwise)
    {
        if (!condition)
        {
            throw new InvalidOptionException(otherwise);
        }
    }
}
