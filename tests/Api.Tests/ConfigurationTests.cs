using OrleansMemory.Api.Configuration;
using OrleansMemory.Core.Recall;

namespace OrleansMemory.Api.Tests;

public sealed class ConfigurationTests : IDisposable
{
    private readonly DirectoryInfo _home = Directory.CreateTempSubdirectory("om-home-");
    private readonly Dictionary<string, string> _variables = [];

    private ConfigurationSources Sources => new()
    {
        Variable = name => _variables.GetValueOrDefault(name),
        HomeFolder = _home.FullName,
        ConfigurationFolder = Path.Combine(_home.FullName, ".config"),
        DataFolder = Path.Combine(_home.FullName, ".local", "share"),
    };

    public void Dispose() => _home.Delete(recursive: true);

    private void Write(string product, string text)
    {
        var folder = Directory.CreateDirectory(Path.Combine(_home.FullName, ".config", product));
        File.WriteAllText(Path.Combine(folder.FullName, "config.toml"), text);
    }

    [Fact]
    public void Nothing_is_needed_and_nothing_is_written()
    {
        var loaded = ConfigurationLoader.Load(Sources);
        Assert.Equal(
            new NodeOptions { DatabasePath = Path.Combine(_home.FullName, ".local", "share", "orleans-memory", "orleans-memory.db") },
            loaded.Options with { QuorumPeers = new NodeOptions().QuorumPeers });
        Assert.Empty(loaded.Options.QuorumPeers);
        Assert.Empty(loaded.Files);
        Assert.Empty(loaded.Warnings);
        Assert.Empty(_home.GetFileSystemInfos());
        Assert.Equal("ai-memory.db", ConfigurationLoader.Load(Sources with { AsPeer = true }).Options.DatabasePath);
    }

    [Fact]
    public void The_own_file_wins_over_the_peers_and_the_environment_over_both()
    {
        Write("ai-memory", """
            # the peer's own settings
            tier = "semantic"
            db = "~/peer.db"
            api_key = "peer-key"
            archive_on_gc = false
            [ttl]
            short_ttl_secs = 100
            mid_ttl_secs = 200
            """);
        Write("orleans-memory", """
            db = "/own.db"
            [server]
            port = 9100
            shutdown_grace_secs = 5
            [ttl]
            mid_ttl_secs = 1_000
            """);
        var files = ConfigurationLoader.Load(Sources);
        Assert.Equal("/own.db", files.Options.DatabasePath);
        Assert.Equal("peer-key", files.Options.ApiKey);
        Assert.False(files.Options.ArchiveOnGc);
        Assert.Equal(9100, files.Options.Port);
        Assert.Equal(TimeSpan.FromSeconds(5), files.Options.ShutdownGrace);
        Assert.Equal((100, 1_000, 0), (files.Options.Lifetimes.ShortSeconds, files.Options.Lifetimes.MidSeconds, files.Options.Lifetimes.LongSeconds));
        Assert.Equal(2, files.Files.Count);

        _variables["AI_MEMORY_DB"] = "/peer-variable.db";
        Assert.Equal("/peer-variable.db", ConfigurationLoader.Load(Sources).Options.DatabasePath);
        _variables["OM_DB"] = "/own-variable.db";
        _variables["OM_API_KEY"] = "own-key";
        _variables["OM_ARCHIVE_ON_GC"] = "yes";
        _variables["OM_PORT"] = "0";
        _variables["OM_SHORT_TTL_SECS"] = "7";
        var all = ConfigurationLoader.Load(Sources).Options;
        Assert.Equal("/own-variable.db", all.DatabasePath);
        Assert.Equal("own-key", all.ApiKey);
        Assert.True(all.ArchiveOnGc);
        Assert.Equal(0, all.Port);
        Assert.Equal(7, all.Lifetimes.ShortSeconds);
    }

    [Fact]
    public void The_peers_database_path_may_name_the_home_folder()
    {
        Write("ai-memory", "db = \"~/peer.db\"\n");
        Assert.Equal(Path.Combine(_home.FullName, "peer.db"), ConfigurationLoader.Load(Sources).Options.DatabasePath);
        _variables["AI_MEMORY_NO_CONFIG"] = "";
        Assert.NotEqual(Path.Combine(_home.FullName, "peer.db"), ConfigurationLoader.Load(Sources).Options.DatabasePath);
    }

    [Fact]
    public void A_broken_own_file_is_an_error_and_a_broken_peers_file_a_warning()
    {
        Write("ai-memory", "db = nonsense here\n");
        Assert.Contains("line 1", Assert.Single(ConfigurationLoader.Load(Sources).Warnings));
        Write("orleans-memory", "port = 1\n\n[server\n");
        Assert.Contains("line 3", Assert.Throws<InvalidOptionException>(() => ConfigurationLoader.Load(Sources)).Message);
        _variables["OM_NO_CONFIG"] = "1";
        Assert.Empty(ConfigurationLoader.Load(Sources).Warnings);
        _variables.Clear();
        _variables["OM_CONFIG"] = "/nowhere/config.toml";
        Assert.Contains("/nowhere/config.toml", Assert.Throws<InvalidOptionException>(() => ConfigurationLoader.Load(Sources)).Message);
    }

    [Fact]
    public void Scoring_weights_are_read()
    {
        Write("orleans-memory", "[scoring]\npriority = 0\nlong_tier = 1.5\naccess_cap = 7\n");
        _variables["OM_SCORING_RECENCY_DECAY"] = "0.25";
        var scoring = ConfigurationLoader.Load(Sources).Options.Validate().ToNodeSettings().Scoring;
        Assert.Equal(new() { Priority = 0, LongTier = 1.5, AccessCap = 7, RecencyDecay = 0.25 }, scoring);
    }

    [Fact]
    public void Recall_by_passage_can_be_weighed_and_turned_off()
    {
        Write("orleans-memory", "[scoring]\npassage_next = 0.3\npassage_pool = 64\n");
        Assert.Equal(new() { Next = 0.3, Pool = 64 }, ConfigurationLoader.Load(Sources).Options.Validate().Scoring.Passage);
        _variables["OM_SCORING_PASSAGE_POOL"] = "0";
        Assert.Contains("OM_SCORING_PASSAGE_POOL", Assert.Throws<InvalidOptionException>(() => ConfigurationLoader.Load(Sources).Options.Validate()).Message, StringComparison.Ordinal);
        _variables["OM_SCORING_PASSAGE"] = "off";
        Assert.Equal(ScoringWeights.Reference, ConfigurationLoader.Load(Sources).Options.Validate().Scoring);
    }

    [Fact]
    public void Half_lives_are_those_of_the_peer_system_unless_the_own_file_says_otherwise()
    {
        Write("ai-memory", "[scoring]\nhalf_life_days_short = 0.01\nhalf_life_days_long = 100\nlegacy_scoring = true\n");
        Write("orleans-memory", "[scoring]\nhalf_life_days_long = 200\nhybrid_distance = 0.5\n");
        Assert.Equal(new() { HalfLifeShort = 0.1, HalfLifeLong = 200, Decay = false, Distance = 0.5 }, ConfigurationLoader.Load(Sources).Options.Validate().Scoring.Hybrid);
        _variables["OM_SCORING_HYBRID_SHORT_SHARE"] = "1.5";
        Assert.Contains("OM_SCORING_HYBRID_SHORT_SHARE", Assert.Throws<InvalidOptionException>(() => ConfigurationLoader.Load(Sources).Options.Validate()).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Models_are_named_by_the_own_file_and_by_that_of_the_peer_system()
    {
        Assert.Equal((null, null), Models(""));
        Assert.Equal(("all-minilm at http://h:1/", null), Models("", "ollama_url = \"http://h:1\"\n"));
        Assert.Equal(("nomic-embed-text at http://h:1/", "gemma4:e4b at http://h:1/"), Models("", "ollama_url = \"http://h:1\"\ntier = \"autonomous\"\n"));
        Assert.Equal((null, null), Models("", "ollama_url = \"http://h:1\"\ntier = \"keyword\"\n"));
        const string Own = "[models]\nembed_url = \"https://api.example/v1\"\nembed_model = \"text-embedding-3-small\"\nchat_url = \"http://h:2\"\nchat_model = \"m\"\n";
        Assert.Equal(("text-embedding-3-small at https://api.example/v1", "m at http://h:2/"), Models(Own, "ollama_url = \"http://h:1\"\n"));
        var models = ConfigurationLoader.Load(Sources).Options.Validate().Models;
        Assert.Equal((Api.Models.ModelApi.OpenAi, Api.Models.ModelApi.Ollama, 1_536), (models.Embedder!.Api, models.Chat!.Api, models.KnownDimension));
        _variables["OM_EMBED_MODEL"] = "of-my-own";
        Assert.Contains("OM_EMBED_DIM", Assert.Throws<InvalidOptionException>(() => ConfigurationLoader.Load(Sources).Options.Validate()).Message, StringComparison.Ordinal);
        _variables["OM_EMBED_DIM"] = "12";
        Assert.Equal((12, false), (ConfigurationLoader.Load(Sources).Options.Validate().Models.KnownDimension, ConfigurationLoader.Load(Sources).Options.ToNodeSettings().Models.VectorsInStore));
        _variables["OM_VECTORS"] = "database";
        Assert.True(ConfigurationLoader.Load(Sources).Options.ToNodeSettings().Models.VectorsInStore);
        _variables["OM_VECTORS"] = "somewhere";
        Assert.Contains("OM_VECTORS", Assert.Throws<InvalidOptionException>(() => ConfigurationLoader.Load(Sources)).Message, StringComparison.Ordinal);
        _variables.Remove("OM_VECTORS");
        _variables["OM_CHAT_API"] = "smoke";
        Assert.Contains("OM_CHAT_API", Assert.Throws<InvalidOptionException>(() => ConfigurationLoader.Load(Sources)).Message, StringComparison.Ordinal);

        (string?, string?) Models(string own, string peer = "")
        {
            Write("orleans-memory", own);
            Write("ai-memory", peer);
            var read = ConfigurationLoader.Load(Sources).Options.Validate().Models;
            return (read.Embedder?.ToString(), read.Chat?.ToString());
        }
    }

    [Fact]
    public void A_value_of_the_wrong_type_is_named()
    {
        _variables["OM_PORT"] = "many";
        Assert.Equal("OM_PORT must be a whole number, not many", Assert.Throws<InvalidOptionException>(() => ConfigurationLoader.Load(Sources)).Message);
        _variables.Clear();
        Write("orleans-memory", "api_key = 7\n");
        Assert.Equal("api_key must be text in quotes, not 7", Assert.Throws<InvalidOptionException>(() => ConfigurationLoader.Load(Sources)).Message);
    }

    public static TheoryData<NodeOptions, string> Unusable => new()
    {
        { new() { Port = 65_536 }, "OM_PORT" },
        { new() { Host = "" }, "OM_HOST" },
        { new() { DatabasePath = "" }, "OM_DB" },
        { new() { TlsCertificatePath = "cert.pem" }, "OM_TLS_KEY" },
        { new() { TlsKeyPath = "key.pem" }, "OM_TLS_CERT" },
        { new() { TlsCertificatePath = "/nowhere/cert.pem", TlsKeyPath = "/nowhere/key.pem" }, "/nowhere/cert.pem" },
        { new() { ShutdownGrace = TimeSpan.FromHours(2) }, "OM_SHUTDOWN_GRACE_SECS" },
        { new() { GcInterval = TimeSpan.Zero }, "OM_GC_INTERVAL_SECS" },
        { new() { TlsClientCaPath = "ca.pem" }, "--tls-cert" },
        { new() { Keys = [new("k") { Certificate = "alice" }] }, "OM_TLS_CLIENT_CA" },
        { new() { Curator = new() { Interval = TimeSpan.FromSeconds(59) } }, "OM_CURATOR_INTERVAL_SECS" },
        { new() { Curator = new() { Order = new(MostOperations: 0) } }, "OM_CURATOR_MAX_OPS" },
        { new() { Curator = new() { Order = new(Include: ["a b"]) } }, "OM_CURATOR_INCLUDE" },
        { new() { RetainedLogRows = 999 }, "OM_RETAINED_LOG_ROWS" },
        { new() { ApiKey = "" }, "api_key" },
        { new() { DefaultNamespace = "a b" }, "OM_DEFAULT_NAMESPACE" },
        { new() { AgentId = "a b" }, "OM_AGENT_ID" },
        { new() { Scoring = new() { Recency = -1 } }, "OM_SCORING_RECENCY" },
        { new() { Scoring = new() { B = 1.5 } }, "OM_SCORING_B" },
    };

    [Theory]
    [MemberData(nameof(Unusable), DisableDiscoveryEnumeration = true)]
    public void An_option_that_cannot_be_used_says_what_to_set(NodeOptions options, string named) =>
        Assert.Contains(named, Assert.Throws<InvalidOptionException>(() => options.Validate()).Message);

    [Fact]
    public void Toml_values_of_every_kind_are_read()
    {
        var values = TomlDocument.Parse("""
            # comment
            text = "a\tb\u00e9 # no comment" # comment
            'literal key' = 'C:\path'
            "quoted" = ""
            a.b.c = -1_000
            hex = 0xff
            float = 1.5e3
            yes = true
            no = false
            date = 2026-01-01T00:00:00Z
            list = [1, "two", [3.0],
              true, # comment
            ]
            inline = { x = 1, y = { z = "deep" } }
            many = '''
            first
            second'''
            [table] # comment
            key = 1
            [table.sub]
            key = 2
            [[peer]]
            url = "one"
            [[peer]]
            url = "two"
            """).Values;
        Assert.Equal("a\tbé # no comment", values["text"]);
        Assert.Equal(@"C:\path", values["literal key"]);
        Assert.Equal("", values["quoted"]);
        Assert.Equal(-1000L, values["a.b.c"]);
        Assert.Equal(255L, values["hex"]);
        Assert.Equal(1500.0, values["float"]);
        Assert.Equal(true, values["yes"]);
        Assert.Equal(false, values["no"]);
        Assert.Equal("2026-01-01T00:00:00Z", values["date"]);
        Assert.Equal(4, Assert.IsType<List<object>>(values["list"]).Count);
        Assert.Equal("deep", values["inline.y.z"]);
        Assert.Equal("first\nsecond", ((string)values["many"]).ReplaceLineEndings("\n"));
        Assert.Equal(1L, values["table.key"]);
        Assert.Equal(2L, values["table.sub.key"]);
        Assert.Equal("two", values["peer.1.url"]);
        Assert.Empty(TomlDocument.Parse("\r\n  \n# only a comment").Values);
    }

    [Theory]
    [InlineData("key", 1)]
    [InlineData("key =", 1)]
    [InlineData("\n= 1", 2)]
    [InlineData("a = 1\na = 2", 2)]
    [InlineData("a = \"open\nb = 1", 1)]
    [InlineData("a = '''open", 1)]
    [InlineData("a = word", 1)]
    [InlineData("a = 1 2", 1)]
    [InlineData("a = \"\\x\"", 1)]
    [InlineData("a = \"\\ud800\"", 1)]
    [InlineData("a = [1, 2", 1)]
    [InlineData("a = [1 2]", 1)]
    [InlineData("a = { b = 1", 1)]
    [InlineData("[a", 1)]
    [InlineData("[[a]", 1)]
    [InlineData("a = 1 b = 2", 1)]
    public void Broken_toml_names_its_line(string text, int line) =>
        Assert.StartsWith($"line {line}: ", Assert.Throws<TomlException>(() => TomlDocument.Parse(text)).Message);

    [Fact]
    public void Random_text_is_read_or_refused_but_never_breaks_the_reader()
    {
        var random = new Random(7);
        const string Alphabet = "ab=\"'[]{}#.,\n\r\t \\u0e+-_1é";
        for (var round = 0; round < 20_000; round++)
        {
            var text = new string(Enumerable.Range(0, random.Next(40)).Select(_ => Alphabet[random.Next(Alphabet.Length)]).ToArray());
            try
            {
                TomlDocument.Parse(text);
            }
            catch (TomlException)
            {
                // Refused with a line, as it should be.
            }
        }
    }

    [Fact]
    public void The_curator_is_off_until_it_has_an_interval()
    {
        Assert.Null(ConfigurationLoader.Load(Sources).Options.Curator.Interval);
        Write("orleans-memory", """
            [curator]
            interval_secs = 3600
            node = "n1"
            max_ops = 7
            include_namespaces = ["a", "b/c"]
            """);
        _variables["OM_CURATOR_EXCLUDE"] = "x, y";
        _variables["OM_CURATOR_DRY_RUN"] = "1";
        var curator = ConfigurationLoader.Load(Sources).Options.Curator;
        Assert.Equal((3600.0, "n1", 7, true), (curator.Interval!.Value.TotalSeconds, curator.Node, curator.Order.MostOperations, curator.Order.DryRun));
        Assert.Equal(["a", "b/c"], curator.Order.Include);
        Assert.Equal(["x", "y"], curator.Order.Exclude);
        _variables["OM_CURATOR_INTERVAL_SECS"] = "0";
        Assert.Null(ConfigurationLoader.Load(Sources).Options.Curator.Interval);
    }

    [Fact]
    public void Peers_come_from_a_list_in_the_file_or_from_text_with_commas()
    {
        Write("orleans-memory", """
            [server]
            node_id = "n1"
            [quorum]
            peers = ["http://b:9077", "http://c:9077"]
            writes = 0
            timeout_ms = 500
            ca_cert = "~/ca.pem"
            """);
        var options = ConfigurationLoader.Load(Sources).Options;
        Assert.Equal(("n1", 0, 500.0), (options.NodeId, options.QuorumWrites, options.QuorumTimeout.TotalMilliseconds));
        Assert.Equal(["http://b:9077/", "http://c:9077/"], options.QuorumPeers.Select(peer => peer.ToString()));
        Assert.Equal(Path.Combine(_home.FullName, "ca.pem"), options.QuorumCaCertificatePath);
        Assert.Equal((3, 1), (options.ToNodeSettings().ReplicaSet.Nodes, options.ToNodeSettings().ReplicaSet.QuorumWrites));

        _variables["OM_QUORUM_PEERS"] = "https://d, http://e:1 ,";
        _variables["OM_QUORUM_WRITES"] = "3";
        options = ConfigurationLoader.Load(Sources).Options;
        Assert.Equal(["https://d/", "http://e:1/"], options.QuorumPeers.Select(peer => peer.ToString()));
        Assert.Equal(3, options.ToNodeSettings().ReplicaSet.QuorumWrites);
        _variables["OM_QUORUM_PEERS"] = "node-b:9077";
        Assert.Contains("OM_QUORUM_PEERS", Assert.Throws<InvalidOptionException>(() => ConfigurationLoader.Load(Sources)).Message);
    }

    [Fact]
    public void Quorum_options_that_cannot_be_used_name_what_to_set()
    {
        var standard = new NodeOptions();
        foreach (var (options, setting) in ((NodeOptions, string)[])
        [
            (standard with { NodeId = "a b" }, "OM_NODE_ID"),
            (standard with { QuorumWrites = -1 }, "OM_QUORUM_WRITES"),
            (standard with { QuorumTimeout = TimeSpan.Zero }, "OM_QUORUM_TIMEOUT_MS"),
            (standard with { QuorumTimeout = TimeSpan.FromHours(1) }, "OM_QUORUM_TIMEOUT_MS"),
            (standard with { QuorumPeers = [new("ftp://b")] }, "OM_QUORUM_PEERS"),
            (standard with { QuorumPeers = [new("http://b:1"), new("http://B:1/")] }, "named more than once"),
            (standard with { QuorumClientCertificatePath = "/no/such" }, "OM_QUORUM_CLIENT_KEY"),
            (standard with { QuorumClientKeyPath = "/no/such" }, "OM_QUORUM_CLIENT_CERT"),
            (standard with { QuorumClientCertificatePath = "/no/such", QuorumClientKeyPath = "/no/such" }, "OM_QUORUM_CLIENT_CERT"),
            (standard with { QuorumCaCertificatePath = "/no/such" }, "OM_QUORUM_CA_CERT"),
        ])
        {
            Assert.Contains(setting, Assert.Throws<InvalidOptionException>(options.Validate).Message);
        }
    }
}
