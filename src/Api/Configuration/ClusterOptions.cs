using System.Globalization;
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

    /// <summary>
    /// Where other silos reach this one; null: the address of the API. <c>HOST</c>: an address of this machine, which the silo listens on.
    /// <c>HOST:PORT</c>: what a network between them (address translation, a container's mapped port) makes of the API's address and
    /// <see cref="SiloPort"/>, which the silo listens on.
    /// </summary>
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
        _ = ResolveEndpoints(node);
    }

    /// <summary>Where other silos are told to reach this one, and the address of this machine that its silo and gateway ports listen on.</summary>
    /// <exception cref="InvalidOptionException">The name has no address, or the port is none.</exception>
    public (IPEndPoint Advertised, IPAddress Listening) ResolveEndpoints(NodeOptions node)
    {
        var (host, port) = AdvertisedAddress is null ? (null, null) : SplitPort(AdvertisedAddress);
        var address = host is null ? node.ResolveHost() : Resolve(host);
        Require(
            !address.Equals(IPAddress.Any) && !address.Equals(IPAddress.IPv6Any),
            "other silos need one address of this machine: set --advertise or OM_ADVERTISE to it");
        return (new(address, port ?? SiloPort), port is null ? address : node.ResolveHost());
    }

    /// <summary>A name or an address, with a port or without; an IPv6 address with a port is in brackets.</summary>
    private static (string Host, int? Port) SplitPort(string text)
    {
        var colon = text.LastIndexOf(':');
        if (colon < 0 || (text.IndexOf(':', StringComparison.Ordinal) < colon && text[colon - 1] != ']'))
        {
            return (text, null);
        }

        var isNumber = int.TryParse(text.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture, out var port);
        Require(
            colon > 0 && isNumber && port is > 0 and <= 65_535,
            $"{text} is neither HOST nor HOST:PORT with a port between 1 and 65535: set --advertise or OM_ADVERTISE to the address and port that other silos reach this one by");
        return (text[..colon], port);
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
