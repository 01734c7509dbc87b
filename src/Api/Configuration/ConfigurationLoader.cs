using System.Globalization;
using OrleansMemory.Api.Models;
using OrleansMemory.Core.Recall;

namespace OrleansMemory.Api.Configuration;

/// <param name="Options">Not validated yet: the command line may still change it.</param>
/// <param name="Files">The files that were read, in order of weight.</param>
/// <param name="Warnings">What was wrong with a file of the peer system; that file counts for nothing then.</param>
public sealed record LoadedConfiguration(NodeOptions Options, IReadOnlyList<string> Files, IReadOnlyList<string> Warnings);

/// <summary>
/// Reads settings from, heaviest first: the environment (<c>OM_*</c>, then <c>AI_MEMORY_*</c>), the own file
/// <c>orleans-memory/config.toml</c> in the user's configuration folder (or <c>OM_CONFIG</c>), the peer system's
/// <c>~/.config/ai-memory/config.toml</c>, the defaults. <c>OM_NO_CONFIG</c> leaves both files unread, <c>AI_MEMORY_NO_CONFIG</c>
/// the peer's. Writes nothing. Unknown keys are ignored.
/// </summary>
public static class ConfigurationLoader
{
    /// <exception cref="InvalidOptionException">The own file cannot be read, or a value is of the wrong type.</exception>
    public static LoadedConfiguration Load(ConfigurationSources sources)
    {
        List<string> files = [];
        List<string> warnings = [];
        var own = ReadOwn(sources, files);
        var peer = ReadPeer(sources, files, warnings);
        var settings = new Settings(sources, own, peer);
        var standard = new NodeOptions();
        var lifetimes = standard.Lifetimes;
        var options = new NodeOptions
        {
            Host = settings.Text("OM_HOST", "server.host") ?? standard.Host,
            Port = (int)Math.Clamp(settings.Integer("OM_PORT", "server.port") ?? standard.Port, int.MinValue, int.MaxValue),
            DatabasePath = Expanded(sources, settings.Text("OM_DB", "db", "AI_MEMORY_DB", "db")) ?? DefaultDatabase(sources),
            ApiKey = settings.Text("OM_API_KEY", "api_key", peerKey: "api_key"),
            Keys = ReadKeys(own),
            TlsCertificatePath = Expanded(sources, settings.Text("OM_TLS_CERT", "server.tls_cert")),
            TlsKeyPath = Expanded(sources, settings.Text("OM_TLS_KEY", "server.tls_key")),
            MtlsAllowlistPath = Expanded(sources, settings.Text("OM_MTLS_ALLOWLIST", "server.mtls_allowlist")),
            Log = settings.Text("OM_LOG", "log", "RUST_LOG") ?? standard.Log,
            TlsClientCaPath = Expanded(sources, settings.Text("OM_TLS_CLIENT_CA", "server.tls_client_ca")),
            ShutdownGrace = Seconds(settings.Integer("OM_SHUTDOWN_GRACE_SECS", "server.shutdown_grace_secs")) ?? standard.ShutdownGrace,
            NodeId = settings.Text("OM_NODE_ID", "server.node_id"),
            QuorumPeers = settings.Texts("OM_QUORUM_PEERS", "quorum.peers") is { Count: > 0 } peers ? NodeOptions.ParsePeers(peers) : standard.QuorumPeers,
            QuorumWrites = (int?)Clamped(settings.Integer("OM_QUORUM_WRITES", "quorum.writes")),
            QuorumTimeout = TimeSpan.FromMilliseconds(Clamped(settings.Integer("OM_QUORUM_TIMEOUT_MS", "quorum.timeout_ms")) ?? standard.QuorumTimeout.TotalMilliseconds),
            RetainedLogRows = settings.Integer("OM_RETAINED_LOG_ROWS", "quorum.retained_log_rows") ?? standard.RetainedLogRows,
            QuorumClientCertificatePath = Expanded(sources, settings.Text("OM_QUORUM_CLIENT_CERT", "quorum.client_cert")),
            QuorumClientKeyPath = Expanded(sources, settings.Text("OM_QUORUM_CLIENT_KEY", "quorum.client_key")),
            QuorumCaCertificatePath = Expanded(sources, settings.Text("OM_QUORUM_CA_CERT", "quorum.ca_cert")),
            GcInterval = Seconds(settings.Integer("OM_GC_INTERVAL_SECS", "gc_interval_secs")) ?? standard.GcInterval,
            ArchiveOnGc = settings.Boolean("OM_ARCHIVE_ON_GC", "archive_on_gc", peerKey: "archive_on_gc") ?? standard.ArchiveOnGc,
            ArchiveMaxDays = settings.Integer("OM_ARCHIVE_MAX_DAYS", "archive_max_days", peerKey: "archive_max_days"),
            Curator = new()
            {
                Interval = settings.Integer("OM_CURATOR_INTERVAL_SECS", "curator.interval_secs") is { } every and not 0 ? Seconds(every) : null,
                Node = settings.Text("OM_CURATOR_NODE", "curator.node"),
                Order = new(
                    (int)(Clamped(settings.Integer("OM_CURATOR_MAX_OPS", "curator.max_ops")) ?? Core.Curation.CuratorOrder.DefaultOperations),
                    settings.Boolean("OM_CURATOR_DRY_RUN", "curator.dry_run") ?? false,
                    Names(settings.Texts("OM_CURATOR_INCLUDE", "curator.include_namespaces")),
                    Names(settings.Texts("OM_CURATOR_EXCLUDE", "curator.exclude_namespaces"))),
            },
            Webhooks = standard.Webhooks with { AllowPrivate = settings.Boolean("OM_WEBHOOKS_ALLOW_PRIVATE", "webhooks.allow_private") ?? standard.Webhooks.AllowPrivate },
            DefaultNamespace = settings.Text("OM_DEFAULT_NAMESPACE", "default_namespace", peerKey: "default_namespace"),
            AgentId = settings.Text("OM_AGENT_ID", "agent_id", "AI_MEMORY_AGENT_ID"),
            Anonymize = settings.Setting("identity.anonymize_default", peerKey: "identity.anonymize_default") ?? standard.Anonymize,
            Lifetimes = new()
            {
                ShortSeconds = Ttl(settings, "short_ttl_secs") ?? lifetimes.ShortSeconds,
                MidSeconds = Ttl(settings, "mid_ttl_secs") ?? lifetimes.MidSeconds,
                LongSeconds = Ttl(settings, "long_ttl_secs") ?? lifetimes.LongSeconds,
                ShortExtensionSeconds = Ttl(settings, "short_extend_secs") ?? lifetimes.ShortExtensionSeconds,
                MidExtensionSeconds = Ttl(settings, "mid_extend_secs") ?? lifetimes.MidExtensionSeconds,
            },
            Scoring = Weights(settings),
            Models = ReadModels(settings),
            Cluster = new()
            {
                Role = settings.Text("OM_ROLE", "cluster.role") is { } role ? ClusterOptions.ParseRole(role) : standard.Cluster.Role,
                Id = settings.Text("OM_CLUSTER_ID", "cluster.id") ?? standard.Cluster.Id,
                Database = settings.Text("OM_CLUSTER_DB", "cluster.db"),
                Nodes = settings.Texts("OM_CLUSTER_NODES", "cluster.nodes") is { Count: > 0 } nodes ? ClusterOptions.ParseNodes(nodes) : standard.Cluster.Nodes,
                AdvertisedAddress = settings.Text("OM_ADVERTISE", "cluster.advertise"),
                SiloPort = (int?)Clamped(settings.Integer("OM_SILO_PORT", "cluster.silo_port")) ?? standard.Cluster.SiloPort,
                GatewayPort = (int?)Clamped(settings.Integer("OM_GATEWAY_PORT", "cluster.gateway_port")) ?? standard.Cluster.GatewayPort,
                Dashboard = settings.Boolean("OM_DASHBOARD", "cluster.dashboard") ?? standard.Cluster.Dashboard,
            },
        };
        return new(options, files, warnings);
    }

    /// <summary>Tables <c>[keys.NAME]</c> of the own file; a secret that is bound to a role is not taken from a file of the peer system.</summary>
    private static IReadOnlyList<KeyOptions> ReadKeys(IReadOnlyDictionary<string, object> own)
    {
        var keys = new SortedDictionary<string, KeyOptions>(StringComparer.Ordinal);
        foreach (var (path, value) in own)
        {
            if (path.Split('.') is not ["keys", var name, var field])
            {
                continue;
            }

            var text = value as string ?? throw new InvalidOptionException($"{path} must be text in quotes");
            var key = keys.GetValueOrDefault(name) ?? new(name);
            keys[name] = field switch
            {
                "key" => key with { Key = text },
                "key_sha256" => key with { Sha256 = text },
                "certificate" => key with { Certificate = text },
                "role" => key with { Role = text },
                "agent" => key with { AgentId = text },
                "place" => key with { Place = text },

                // A restriction that is misspelt must not be passed over.
                _ => throw new InvalidOptionException($"{path} is not known: a key has key, key_sha256 or certificate, role, agent and place"),
            };
        }

        return keys.Count == 0 ? [] : [.. keys.Values];
    }

    private static ScoringWeights Weights(Settings settings)
    {
        var standard = ScoringWeights.Default;
        var passage = standard.Passage!;
        var hybrid = standard.Hybrid;
        return new()
        {
            Text = Of("text") ?? standard.Text,
            Priority = Of("priority") ?? standard.Priority,
            Access = Of("access") ?? standard.Access,
            AccessCap = (int)Math.Clamp(settings.Integer("OM_SCORING_ACCESS_CAP", "scoring.access_cap") ?? standard.AccessCap, int.MinValue, int.MaxValue),
            Confidence = Of("confidence") ?? standard.Confidence,
            LongTier = Of("long_tier") ?? standard.LongTier,
            MidTier = Of("mid_tier") ?? standard.MidTier,
            ShortTier = Of("short_tier") ?? standard.ShortTier,
            Recency = Of("recency") ?? standard.Recency,
            RecencyDecay = Of("recency_decay") ?? standard.RecencyDecay,
            K1 = Of("k1") ?? standard.K1,
            B = Of("b") ?? standard.B,
            Rerank = settings.Boolean("OM_SCORING_RERANK", "scoring.rerank") ?? settings.Text("OM_TIER", "models.tier", peerKey: "tier")?.ToLowerInvariant() == "autonomous",
            Hybrid = new()
            {
                HalfLifeShort = HalfLife("short") ?? hybrid.HalfLifeShort,
                HalfLifeMid = HalfLife("mid") ?? hybrid.HalfLifeMid,
                HalfLifeLong = HalfLife("long") ?? hybrid.HalfLifeLong,
                Decay = !(settings.Boolean("OM_SCORING_LEGACY_SCORING", "scoring.legacy_scoring", peerKey: "scoring.legacy_scoring") ?? !hybrid.Decay),
                ShortShare = Of("hybrid_short_share") ?? hybrid.ShortShare,
                LongShare = Of("hybrid_long_share") ?? hybrid.LongShare,
                LeastCosine = Of("hybrid_least_cosine") ?? hybrid.LeastCosine,
                ContextShare = Of("hybrid_context_share") ?? hybrid.ContextShare,
                Distance = Of("hybrid_distance") ?? hybrid.Distance,
            },
            Passage = settings.Boolean("OM_SCORING_PASSAGE", "scoring.passage") == false ? null : new()
            {
                Pool = (int)Math.Clamp(settings.Integer("OM_SCORING_PASSAGE_POOL", "scoring.passage_pool") ?? passage.Pool, int.MinValue, int.MaxValue),
                K1 = Of("passage_k1") ?? passage.K1,
                B = Of("passage_b") ?? passage.B,
                StopWord = Of("passage_stop_word") ?? passage.StopWord,
                Next = Of("passage_next") ?? passage.Next,
                Second = Of("passage_second") ?? passage.Second,
                GapSeconds = Of("passage_gap_secs") ?? passage.GapSeconds,
                Title = Of("passage_title") ?? passage.Title,
                Date = Of("passage_date") ?? passage.Date,
            },
        };

        double? Of(string key) => settings.Number("OM_SCORING_" + key.ToUpperInvariant(), "scoring." + key);

        double? HalfLife(string tier) =>
            settings.Number($"OM_SCORING_HALF_LIFE_DAYS_{tier.ToUpperInvariant()}", $"scoring.half_life_days_{tier}", $"scoring.half_life_days_{tier}") is { } days
                ? Math.Clamp(days, 0.1, 36_500)
                : null;
    }

    /// <summary>
    /// The feature tier of ai-memory 0.6.0 turns on what its name says once a server is named; keyword turns both models off. A model that is set by a
    /// name of ours needs no tier.
    /// </summary>
    private static ModelOptions ReadModels(Settings settings)
    {
        var standard = new ModelOptions();
        var tier = settings.Text("OM_TIER", "models.tier", peerKey: "tier")?.ToLowerInvariant();
        if (tier == "keyword")
        {
            return standard;
        }

        var ollama = settings.Text("OM_OLLAMA_URL", "models.ollama_url", peerKey: "ollama_url");
        var embedUrl = settings.Text("OM_EMBED_URL", "models.embed_url", peerKey: "embed_url") ?? ollama;
        var embedModel = settings.Text("OM_EMBED_MODEL", "models.embed_model", peerKey: "embedding_model");
        var chatUrl = settings.Text("OM_CHAT_URL", "models.chat_url") ?? ollama;
        var ownChatModel = settings.Text("OM_CHAT_MODEL", "models.chat_model");
        var writes = ownChatModel is not null || tier is "smart" or "autonomous";
        return new()
        {
            Embedder = embedUrl is null ? null
                : Endpoint("embed", embedUrl, ModelOptions.EmbeddingModelOf(embedModel ?? (tier is "smart" or "autonomous" ? "nomic_embed_v15" : "mini_lm_l6_v2"))),
            Dimension = (int?)Clamped(settings.Integer("OM_EMBED_DIM", "models.embed_dim")),
            VectorsInDatabase = settings.Text("OM_VECTORS", "models.vectors") switch
            {
                null or "memory" => false,
                "database" => true,
                var other => throw new InvalidOptionException($"{other} is not known: set OM_VECTORS, or models.vectors in the configuration file, to memory or database"),
            },
            Chat = chatUrl is null || !writes ? null
                : Endpoint("chat", chatUrl, ownChatModel ?? settings.Text("OM_CHAT_MODEL", "models.chat_model", peerKey: "llm_model") ?? (tier == "autonomous" ? "gemma4:e4b" : "gemma4:e2b")),
            EmbedTimeout = Milliseconds("embed_timeout_ms") ?? standard.EmbedTimeout,
            EmbedBatchTimeout = Milliseconds("embed_batch_timeout_ms") ?? standard.EmbedBatchTimeout,
            ChatTimeout = Milliseconds("chat_timeout_ms") ?? standard.ChatTimeout,
        };

        ModelEndpoint Endpoint(string kind, string url, string model)
        {
            var variable = "OM_" + kind.ToUpperInvariant();
            var address = Uri.TryCreate(url, UriKind.Absolute, out var parsed) && parsed.Scheme is "http" or "https"
                ? parsed
                : throw new InvalidOptionException($"{url} is not an http or https address: set {variable}_URL, or models.{kind}_url in the configuration file");
            var api = settings.Text($"{variable}_API", $"models.{kind}_api") switch
            {
                null => ModelEndpoint.ApiOf(address),
                "openai" => ModelApi.OpenAi,
                "ollama" => ModelApi.Ollama,
                var other => throw new InvalidOptionException($"{other} is not known: set {variable}_API, or models.{kind}_api in the configuration file, to openai or ollama"),
            };
            return new(address, api, model, settings.Text($"{variable}_KEY", $"models.{kind}_key"));
        }

        TimeSpan? Milliseconds(string key) => Clamped(settings.Integer("OM_" + key.ToUpperInvariant(), "models." + key)) is { } value ? TimeSpan.FromMilliseconds(value) : null;
    }

    private static long? Ttl(Settings settings, string key) =>
        settings.Integer("OM_" + key.ToUpperInvariant(), "ttl." + key, peerKey: "ttl." + key);

    /// <summary>Null when there are none.</summary>
    private static IReadOnlyList<string>? Names(IReadOnlyList<string> lists) =>
        lists.SelectMany(static list => list.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)).ToList() is { Count: > 0 } names ? names : null;

    private static long? Clamped(long? number) => number is { } value ? Math.Clamp(value, int.MinValue, int.MaxValue) : null;

    private static TimeSpan? Seconds(long? seconds) => seconds is { } value ? TimeSpan.FromSeconds(Math.Clamp(value, -1, 1_000_000_000)) : null;

    private static string DefaultDatabase(ConfigurationSources sources) =>
        sources.AsPeer ? "ai-memory.db"
        : sources.DataFolder is { } folder ? Path.Combine(folder, "orleans-memory", "orleans-memory.db")
        : "orleans-memory.db";

    private static string? Expanded(ConfigurationSources sources, string? path) =>
        path is not null && sources.HomeFolder is { } home && (path == "~" || path.StartsWith("~/", StringComparison.Ordinal))
            ? Path.Join(home, path.AsSpan(1))
            : path;

    private static IReadOnlyDictionary<string, object> ReadOwn(ConfigurationSources sources, List<string> files)
    {
        if (sources.Variable("OM_NO_CONFIG") is not null)
        {
            return new Dictionary<string, object>();
        }

        var named = sources.Variable("OM_CONFIG");
        var path = named ?? (sources.ConfigurationFolder is { } folder ? Path.Combine(folder, "orleans-memory", "config.toml") : null);
        if (path is null || (named is null && !File.Exists(path)))
        {
            return new Dictionary<string, object>();
        }

        try
        {
            var values = TomlDocument.Parse(File.ReadAllText(path)).Values;
            files.Add(path);
            return values;
        }
        catch (TomlException exception)
        {
            throw new InvalidOptionException($"{path}, {exception.Message}", exception);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new InvalidOptionException($"the configuration file {path} cannot be read: {exception.Message}", exception);
        }
    }

    private static IReadOnlyDictionary<string, object> ReadPeer(ConfigurationSources sources, List<string> files, List<string> warnings)
    {
        if (sources.Variable("OM_NO_CONFIG") is not null || sources.Variable("AI_MEMORY_NO_CONFIG") is not null || sources.HomeFolder is not { } home)
        {
            return new Dictionary<string, object>();
        }

        var path = Path.Combine(home, ".config", "ai-memory", "config.toml");
        try
        {
            if (!File.Exists(path))
            {
                return new Dictionary<string, object>();
            }

            var values = TomlDocument.Parse(File.ReadAllText(path)).Values;
            files.Add(path);
            return values;
        }
        catch (Exception exception) when (exception is TomlException or IOException or UnauthorizedAccessException)
        {
            warnings.Add($"config parse error ({path}): {exception.Message}");
            return new Dictionary<string, object>();
        }
    }

    /// <summary>One setting from all its places.</summary>
    private sealed class Settings(ConfigurationSources sources, IReadOnlyDictionary<string, object> own, IReadOnlyDictionary<string, object> peer)
    {
        public string? Text(string variable, string key, string? peerVariable = null, string? peerKey = null) => Find(variable, key, peerVariable, peerKey) switch
        {
            (_, null) => null,
            (_, string text) => text,
            var (place, value) => throw Wrong(place, value, "text in quotes"),
        };

        /// <summary>A list, or text with commas between its parts.</summary>
        public IReadOnlyList<string> Texts(string variable, string key) => Find(variable, key, peerVariable: null, peerKey: null) switch
        {
            (_, null) => [],
            (_, string text) => [text],
            (_, IReadOnlyList<object> list) when list.All(static part => part is string) => [.. list.Cast<string>()],
            var (place, value) => throw Wrong(place, value, "a list of texts"),
        };

        public long? Integer(string variable, string key, string? peerVariable = null, string? peerKey = null) => Find(variable, key, peerVariable, peerKey) switch
        {
            (_, null) => null,
            (_, long integer) => integer,
            (_, string text) when long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var integer) => integer,
            var (place, value) => throw Wrong(place, value, "a whole number"),
        };

        public double? Number(string variable, string key, string? peerKey = null) => Find(variable, key, peerVariable: null, peerKey) switch
        {
            (_, null) => null,
            (_, double number) => number,
            (_, long integer) => integer,
            (_, string text) when double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var number) => number,
            var (place, value) => throw Wrong(place, value, "a number"),
        };

        /// <summary>A truth of the files alone.</summary>
        public bool? Setting(string key, string peerKey) => Boolean(variable: "", key, peerKey: peerKey);

        public bool? Boolean(string variable, string key, string? peerVariable = null, string? peerKey = null) => Find(variable, key, peerVariable, peerKey) switch
        {
            (_, null) => null,
            (_, bool truth) => truth,
            (_, string text) when text.ToUpperInvariant() is "1" or "TRUE" or "YES" or "ON" => true,
            (_, string text) when text.ToUpperInvariant() is "0" or "FALSE" or "NO" or "OFF" => false,
            var (place, value) => throw Wrong(place, value, "true or false"),
        };

        private (string Place, object? Value) Find(string variable, string key, string? peerVariable, string? peerKey) =>
            NotEmpty(variable) is { } found ? (variable, found)
            : peerVariable is not null && NotEmpty(peerVariable) is { } peerFound ? (peerVariable, peerFound)
            : own.TryGetValue(key, out var value) ? (key, value)
            : peerKey is not null && peer.TryGetValue(peerKey, out var peerValue) ? (peerKey, peerValue)
            : (key, null);

        private string? NotEmpty(string variable) => variable.Length > 0 && sources.Variable(variable) is { Length: > 0 } value ? value : null;

        private static InvalidOptionException Wrong(string place, object? value, string wanted) =>
            new(string.Create(CultureInfo.InvariantCulture, $"{place} must be {wanted}, not {value}"));
    }
}
