using System.Net;
using System.Net.Sockets;
using OrleansMemory.Api.Webhooks;
using OrleansMemory.Core;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Recall;

namespace OrleansMemory.Api.Configuration;

/// <summary>An option that cannot be used. The text says which, and what to set.</summary>
public sealed class InvalidOptionException(string message, Exception? inner = null) : Exception(message, inner);

/// <summary>Everything an operator can set for a node; both hosts read it.</summary>
public sealed record NodeOptions
{
    public const string DefaultHost = "127.0.0.1";
    public const int DefaultPort = 9077;

    /// <summary>An address or a name of this machine; <c>0.0.0.0</c> and <c>::</c> mean all of them.</summary>
    public string Host { get; init; } = DefaultHost;

    /// <summary>0 to 65,535; 0 takes a free one.</summary>
    public int Port { get; init; } = DefaultPort;

    /// <summary>The database file, created when missing, its folder is not; or the URL of a PostgreSQL database, which may hold a password.</summary>
    public string DatabasePath { get; init; } = "orleans-memory.db";

    /// <summary>Null: everybody is let in.</summary>
    public string? ApiKey { get; init; }

    /// <summary>Keys that are bound to a role and an agent. With any key at all a request needs one.</summary>
    public IReadOnlyList<KeyOptions> Keys { get; init; } = [];

    /// <summary>The key that this node shows to its peers: its own, else that of a peer; null: none.</summary>
    public string? PeerKey => ApiKey ?? Keys.FirstOrDefault(static key => key is { Role: "peer", Key: not null })?.Key;

    /// <summary>PEM file with the certificate, its chain behind it. Needs <see cref="TlsKeyPath"/>.</summary>
    public string? TlsCertificatePath { get; init; }

    /// <summary>PEM file with the private key, PKCS#8 or RSA.</summary>
    public string? TlsKeyPath { get; init; }

    /// <summary>File with the SHA-256 fingerprints of the client certificates that are let in, one in a line; null: clients need none. Needs <see cref="TlsCertificatePath"/>.</summary>
    public string? MtlsAllowlistPath { get; init; }

    /// <summary>What is logged: <c>error</c>, <c>warn</c>, <c>info</c>, <c>debug</c>, <c>trace</c> or <c>off</c>, or a comma list of such words, each after the name of a part and <c>=</c> or alone; the most talkative one counts.</summary>
    public string Log { get; init; } = "info";

    /// <summary>
    /// PEM file with the authorities whose client certificates say who calls: the URI, else the common name, in one is the agent that its bearer is. A request
    /// needs a certificate or a key then. Null: certificates are not asked for. Needs TLS.
    /// </summary>
    public string? TlsClientCaPath { get; init; }

    /// <summary>
    /// The node's name among its peers, with the characters of an agent id; null: the store's, which takes one from the machine when it is
    /// created. A store keeps its first.
    /// </summary>
    public string? NodeId { get; init; }

    /// <summary>The other nodes: absolute http or https addresses, each once.</summary>
    public IReadOnlyList<Uri> QuorumPeers { get; init; } = [];

    /// <summary>How many nodes must hold a write before it is answered; null: the majority; 0: do not wait. More than there are means all.</summary>
    public int? QuorumWrites { get; init; }

    /// <summary>How long a write waits for its quorum; a millisecond to ten minutes.</summary>
    public TimeSpan QuorumTimeout { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>Rows of this node's log that are kept for a peer that is away, about 100 bytes each; one away for longer gets the rest by digest exchange. 1,000 or more.</summary>
    public long RetainedLogRows { get; init; } = 2_000_000;

    /// <summary>PEM file with the certificate that this node shows to its peers. Needs <see cref="QuorumClientKeyPath"/>.</summary>
    public string? QuorumClientCertificatePath { get; init; }

    /// <summary>PEM file with the private key of <see cref="QuorumClientCertificatePath"/>.</summary>
    public string? QuorumClientKeyPath { get; init; }

    /// <summary>PEM file with the authorities that peers' certificates are checked against; null: the system's.</summary>
    public string? QuorumCaCertificatePath { get; init; }

    /// <summary>How long requests in flight may take after a signal to stop; at most an hour.</summary>
    public TimeSpan ShutdownGrace { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Between two sweeps for expired memories; a second to a day.</summary>
    public TimeSpan GcInterval { get; init; } = TimeSpan.FromSeconds(1800);

    /// <summary>Expired memories are archived; else they are deleted for good.</summary>
    public bool ArchiveOnGc { get; init; } = true;

    /// <summary>Days after which a sweep deletes archived memories for good, 1 or more; null: they stay.</summary>
    public long? ArchiveMaxDays { get; init; }

    /// <summary>The curator in the background.</summary>
    public CuratorOptions Curator { get; init; } = new();

    /// <summary>How subscribers are told.</summary>
    public WebhookOptions Webhooks { get; init; } = new();

    /// <summary>Namespace of a memory stored on the command line without one; null takes it from the working directory.</summary>
    public string? DefaultNamespace { get; init; }

    /// <summary>Who calls on the command line; null: unnamed.</summary>
    public string? AgentId { get; init; }

    /// <summary>A caller on the command line who gives no name gets one that does not tell the host's.</summary>
    public bool Anonymize { get; init; }

    public Lifetimes Lifetimes { get; init; } = new();

    /// <summary>Of a silo; a node of named peers reads none of it.</summary>
    public ClusterOptions Cluster { get; init; } = new();

    /// <summary>How recall and search rank.</summary>
    public ScoringWeights Scoring { get; init; } = ScoringWeights.Default;

    /// <summary>Models that embed memories and write texts.</summary>
    public ModelOptions Models { get; init; } = new();

    public bool HasTls => TlsCertificatePath is not null;

    /// <summary>What the engines of the node take of it.</summary>
    public NodeSettings ToNodeSettings() => new()
    {
        Lifetimes = Lifetimes,
        ArchiveOnGc = ArchiveOnGc,
        Scoring = Scoring,
        Models = Models.Connect(),
        ReplicaSet = new(QuorumPeers.Count, QuorumWrites, QuorumTimeout) { RetainedLogRows = RetainedLogRows },
    };

    /// <summary>Addresses from comma lists.</summary>
    /// <exception cref="InvalidOptionException">One is not an http or https address.</exception>
    public static IReadOnlyList<Uri> ParsePeers(IEnumerable<string> lists) =>
    [
        .. lists.SelectMany(static list => list.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
            .Select(static text => Uri.TryCreate(text, UriKind.Absolute, out var peer) && peer.Scheme is "http" or "https"
                ? peer
                : throw new InvalidOptionException($"{text} is not an http or https address: set --quorum-peers or OM_QUORUM_PEERS to a list such as http://10.0.0.2:9077,http://10.0.0.3:9077")),
    ];

    /// <exception cref="InvalidOptionException"/>
    public NodeOptions Validate()
    {
        Require(Host.Length > 0, "host must not be empty: set --host or OM_HOST, for example 127.0.0.1");
        Require(Port is >= 0 and <= 65_535, $"port must be between 0 and 65535, not {Port}: set --port or OM_PORT");
        Require(DatabasePath.Length > 0, "the database path must not be empty: set --db or OM_DB");
        Require(
            TlsCertificatePath is null == TlsKeyPath is null,
            TlsKeyPath is null ? "--tls-cert needs a private key: set --tls-key or OM_TLS_KEY" : "--tls-key needs a certificate: set --tls-cert or OM_TLS_CERT");
        Require(TlsCertificatePath is null || File.Exists(TlsCertificatePath), $"the TLS certificate {TlsCertificatePath} is not there: set --tls-cert or OM_TLS_CERT");
        Require(TlsKeyPath is null || File.Exists(TlsKeyPath), $"the TLS key {TlsKeyPath} is not there: set --tls-key or OM_TLS_KEY");
        Require(ArchiveMaxDays is null or >= 1, $"archive_max_days must be 1 or more, not {ArchiveMaxDays}: set OM_ARCHIVE_MAX_DAYS");
        Require(MtlsAllowlistPath is null || HasTls, "--mtls-allowlist needs TLS: set --tls-cert and --tls-key");
        Require(TlsClientCaPath is null || HasTls, "--tls-client-ca needs TLS: set --tls-cert and --tls-key");
        RequireFile(TlsClientCaPath, "authority of client certificates", "--tls-client-ca or OM_TLS_CLIENT_CA");
        Curator.Validate();
        if (NodeId is not null)
        {
            Rule("the node id (--node-id, OM_NODE_ID)", () => MemoryRules.AgentId(NodeId));
        }

        foreach (var peer in QuorumPeers)
        {
            Require(
                peer.IsAbsoluteUri && peer.Scheme is "http" or "https",
                $"{peer} is not an http or https address: set --quorum-peers or OM_QUORUM_PEERS to a list such as http://10.0.0.2:9077,http://10.0.0.3:9077");
        }

        foreach (var same in QuorumPeers.GroupBy(static peer => peer.GetLeftPart(UriPartial.Path).TrimEnd('/')).Where(static same => same.Count() > 1))
        {
            Require(condition: false, $"{same.Key} is named more than once: name each peer once in --quorum-peers or OM_QUORUM_PEERS");
        }

        Require(QuorumWrites is null or >= 0, $"quorum_writes must be 0 or more, not {QuorumWrites}: set --quorum-writes or OM_QUORUM_WRITES");
        Require(
            QuorumTimeout >= TimeSpan.FromMilliseconds(1) && QuorumTimeout <= TimeSpan.FromMinutes(10),
            "the quorum timeout must be between 1 and 600000 milliseconds: set --quorum-timeout-ms or OM_QUORUM_TIMEOUT_MS");
        Require(RetainedLogRows >= 1_000, $"retained_log_rows must be 1000 or more, not {RetainedLogRows}: set quorum.retained_log_rows or OM_RETAINED_LOG_ROWS");
        Require(
            QuorumClientCertificatePath is null == QuorumClientKeyPath is null,
            QuorumClientKeyPath is null
                ? "--quorum-client-cert needs a private key: set --quorum-client-key or OM_QUORUM_CLIENT_KEY"
                : "--quorum-client-key needs a certificate: set --quorum-client-cert or OM_QUORUM_CLIENT_CERT");
        RequireFile(QuorumClientCertificatePath, "client certificate", "--quorum-client-cert or OM_QUORUM_CLIENT_CERT");
        RequireFile(QuorumClientKeyPath, "client key", "--quorum-client-key or OM_QUORUM_CLIENT_KEY");
        RequireFile(QuorumCaCertificatePath, "CA certificate", "--quorum-ca-cert or OM_QUORUM_CA_CERT");
        Require(
            ShutdownGrace >= TimeSpan.Zero && ShutdownGrace <= TimeSpan.FromHours(1),
            "the shutdown grace must be between 0 and 3600 seconds: set --shutdown-grace-secs or OM_SHUTDOWN_GRACE_SECS");
        Require(
            GcInterval >= TimeSpan.FromSeconds(1) && GcInterval <= TimeSpan.FromDays(1),
            "the gc interval must be between 1 and 86400 seconds: set OM_GC_INTERVAL_SECS");
        Require(ApiKey is not "", "api_key must not be empty: remove it to let everybody in");
        foreach (var key in Keys)
        {
            key.Validate();
            Require(key.Certificate is null || TlsClientCaPath is not null, $"[keys.{key.Name}]: a certificate needs authorities to be checked against: set --tls-client-ca or OM_TLS_CLIENT_CA");
        }

        foreach (var (key, weight) in WeightsByKey())
        {
            Require(
                double.IsFinite(weight) && weight >= 0,
                $"the scoring weight {key} must be zero or more: set scoring.{key} in the configuration file, or OM_SCORING_{key.ToUpperInvariant()}");
        }

        Require(
            Scoring.Passage is not { Pool: < 1 or > MemoryLimits.PassagePool },
            $"scoring.passage_pool must be between 1 and {MemoryLimits.PassagePool}: set it in the configuration file, or OM_SCORING_PASSAGE_POOL");
        Require(Scoring.Passage is not { B: > 1 }, "the scoring weight passage_b must be between 0 and 1: set scoring.passage_b in the configuration file, or OM_SCORING_PASSAGE_B");
        foreach (var (key, share) in ((string, double)[])[("short_share", Scoring.Hybrid.ShortShare), ("long_share", Scoring.Hybrid.LongShare), ("context_share", Scoring.Hybrid.ContextShare)])
        {
            Require(share <= 1, $"the scoring weight hybrid_{key} must be between 0 and 1: set scoring.hybrid_{key} in the configuration file, or OM_SCORING_HYBRID_{key.ToUpperInvariant()}");
        }

        Require(Scoring.B <= 1, "the scoring weight b must be between 0 and 1: set scoring.b in the configuration file, or OM_SCORING_B");
        if (Models is { Embedder: not null, KnownDimension: not (>= 1 and <= MemoryLimits.VectorDimensions) })
        {
            throw Models.UnknownDimension;
        }

        foreach (var (key, wait) in ((string, TimeSpan)[])[("embed_timeout_ms", Models.EmbedTimeout), ("embed_batch_timeout_ms", Models.EmbedBatchTimeout), ("chat_timeout_ms", Models.ChatTimeout)])
        {
            Require(
                wait >= TimeSpan.FromMilliseconds(10) && wait <= TimeSpan.FromHours(1),
                $"models.{key} must be between 10 and 3600000: set it in the configuration file, or OM_{key.ToUpperInvariant()}");
        }

        if (DefaultNamespace is not null)
        {
            Rule("default_namespace (OM_DEFAULT_NAMESPACE)", () => MemoryRules.Namespace(DefaultNamespace));
        }

        if (AgentId is not null)
        {
            Rule("the agent id (OM_AGENT_ID)", () => MemoryRules.AgentId(AgentId));
        }

        return this;
    }

    /// <summary>The addresses to listen on.</summary>
    /// <exception cref="InvalidOptionException">The host name has no address here.</exception>
    public IPAddress ResolveHost()
    {
        if (Host is "*" or "+")
        {
            return IPAddress.Any;
        }

        if (IPAddress.TryParse(Host.Trim('[', ']'), out var address))
        {
            return address;
        }

        try
        {
            var known = Dns.GetHostAddresses(Host);
            return Array.Find(known, candidate => candidate.AddressFamily == AddressFamily.InterNetwork) ?? known[0];
        }
        catch (Exception exception) when (exception is SocketException or ArgumentException or IndexOutOfRangeException)
        {
            throw new InvalidOptionException($"host {Host} has no address on this machine: set --host or OM_HOST to an address, for example 127.0.0.1", exception);
        }
    }

    /// <summary>What is unsafe about listening as these options say; empty on the loopback address.</summary>
    public IReadOnlyList<string> ExposureWarnings()
    {
        if (IPAddress.IsLoopback(ResolveHost()))
        {
            return [];
        }

        List<string> warnings = [];
        if (ApiKey is null && Keys.Count == 0 && TlsClientCaPath is null && MtlsAllowlistPath is null)
        {
            warnings.Add("no api_key is set and the node listens beyond loopback: everybody who reaches it can read and change every memory");
        }

        if (!HasTls)
        {
            warnings.Add("TLS is off and the node listens beyond loopback: memories and keys cross the network readable");
        }

        return warnings;
    }

    private IEnumerable<(string Key, double Weight)> WeightsByKey() =>
    [
        ("text", Scoring.Text), ("priority", Scoring.Priority), ("access", Scoring.Access), ("access_cap", Scoring.AccessCap),
        ("confidence", Scoring.Confidence), ("long_tier", Scoring.LongTier), ("mid_tier", Scoring.MidTier), ("short_tier", Scoring.ShortTier),
        ("recency", Scoring.Recency), ("recency_decay", Scoring.RecencyDecay), ("k1", Scoring.K1), ("b", Scoring.B),
        ("hybrid_short_share", Scoring.Hybrid.ShortShare), ("hybrid_long_share", Scoring.Hybrid.LongShare), ("hybrid_least_cosine", Scoring.Hybrid.LeastCosine),
        ("hybrid_context_share", Scoring.Hybrid.ContextShare), ("hybrid_distance", Scoring.Hybrid.Distance),
        .. Scoring.Passage is not { } passage ? (IEnumerable<(string, double)>)[] :
        [
            ("passage_k1", passage.K1), ("passage_b", passage.B), ("passage_stop_word", passage.StopWord), ("passage_next", passage.Next), ("passage_second", passage.Second),
            ("passage_gap_secs", passage.GapSeconds), ("passage_title", passage.Title), ("passage_date", passage.Date),
        ],
    ];

    private static void RequireFile(string? path, string what, string setting) =>
        Require(path is null || File.Exists(path), $"the {what} {path} is not there: set {setting}");

    private static void Require(bool condition, string otherwise)
    {
        if (!condition)
        {
            throw new InvalidOptionException(otherwise);
        }
    }

    private static void Rule(string what, Action rule)
    {
        try
        {
            rule();
        }
        catch (MemoryException exception)
        {
            throw new InvalidOptionException($"{what} cannot be used: {exception.Message}", exception);
        }
    }
}
