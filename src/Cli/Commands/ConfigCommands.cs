using System.CommandLine;
using System.Globalization;
using OrleansMemory.Api.Configuration;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Cli.Commands;

/// <summary>What is configured, from where, and a file to begin with.</summary>
internal static class ConfigCommands
{
    private const string Template = """
        # Everything here is a default; take the # away to change it. Variables OM_* and options come before this file.

        # db = "~/.local/share/orleans-memory/orleans-memory.db"
        # agent_id = "ai:me"
        # default_namespace = "global"
        # api_key = "..."
        # archive_on_gc = true
        # archive_max_days = 365
        # gc_interval_secs = 1800
        # log = "info"

        # [server]
        # host = "127.0.0.1"
        # port = 9077
        # tls_cert = "cert.pem"
        # tls_key = "key.pem"
        # mtls_allowlist = "clients.txt"
        # shutdown_grace_secs = 30

        # [quorum]
        # peers = ["http://10.0.0.2:9077"]
        # writes = 2
        # timeout_ms = 2000

        # [ttl]
        # short_ttl_secs = 21600
        # mid_ttl_secs = 604800
        # long_ttl_secs = 0
        # short_extend_secs = 3600
        # mid_extend_secs = 86400

        # [identity]
        # anonymize_default = false

        """;

    public static CliCommand Create() => CliCommand.Group(
        "config",
        "Show what is configured (default), where, or write a file to begin with",
        [
            new(new Command("show", "Show the settings as they are, without secrets"), ShowAsync),
            new(new Command("path", "Show the files that are read, and where the own one is looked for"), PathAsync),
            new(new Command("init", "Write a configuration file with every default in a comment; an existing one stays"), InitAsync),
        ],
        ShowAsync);

    private static Task<int> ShowAsync(Session session)
    {
        var options = session.Configuration;
        (string Name, string? Value)[] settings =
        [
            ("db", session.Address?.ToString() ?? session.Database.Store.ToString()),
            ("agent_id", options.AgentId),
            ("default_namespace", options.DefaultNamespace),
            ("api_key", options.ApiKey is null ? null : "(set)"),
            ("archive_on_gc", Text(options.ArchiveOnGc)),
            ("archive_max_days", options.ArchiveMaxDays is { } days ? Text(days) : null),
            ("gc_interval_secs", Text(options.GcInterval.TotalSeconds)),
            ("log", options.Log),
            ("server.host", options.Host),
            ("server.port", Text(options.Port)),
            ("server.tls_cert", options.TlsCertificatePath),
            ("server.mtls_allowlist", options.MtlsAllowlistPath),
            ("server.shutdown_grace_secs", Text(options.ShutdownGrace.TotalSeconds)),
            ("quorum.peers", options.QuorumPeers.Count == 0 ? null : string.Join(',', options.QuorumPeers)),
            ("quorum.writes", options.QuorumWrites is { } writes ? Text(writes) : null),
            ("quorum.timeout_ms", Text(options.QuorumTimeout.TotalMilliseconds)),
            ("ttl.short_ttl_secs", Text(options.Lifetimes.ShortSeconds)),
            ("ttl.mid_ttl_secs", Text(options.Lifetimes.MidSeconds)),
            ("ttl.long_ttl_secs", Text(options.Lifetimes.LongSeconds)),
            ("ttl.short_extend_secs", Text(options.Lifetimes.ShortExtensionSeconds)),
            ("ttl.mid_extend_secs", Text(options.Lifetimes.MidExtensionSeconds)),
            ("identity.anonymize_default", Text(options.Anonymize)),
        ];
        if (session.Json)
        {
            session.Report.Object(writer =>
            {
                foreach (var (name, value) in settings)
                {
                    writer.WriteString(name, value);
                }
            });
        }
        else
        {
            foreach (var (name, value) in settings)
            {
                session.Text.WriteLine($"{name} = {value ?? "(not set)"}");
            }
        }

        return Task.FromResult(0);
    }

    private static Task<int> PathAsync(Session session)
    {
        var sources = ConfigurationSources.OfProcess(session.Invocation.IsAiMemory);
        var (own, read) = (OwnPath(sources), ConfigurationLoader.Load(sources).Files);
        if (session.Json)
        {
            session.Report.Object(writer =>
            {
                writer.WriteStartArray("files");
                foreach (var file in read)
                {
                    writer.WriteStringValue(file);
                }

                writer.WriteEndArray();
                writer.WriteString("own", own);
            });
            return Task.FromResult(0);
        }

        session.Text.WriteLine($"{own ?? "(no configuration folder)"}{(own is not null && read.Contains(own) ? "" : " (not there)")}");
        foreach (var file in read.Where(file => file != own))
        {
            session.Text.WriteLine($"{file} (read as well)");
        }

        return Task.FromResult(0);
    }

    private static async Task<int> InitAsync(Session session)
    {
        var path = OwnPath(ConfigurationSources.OfProcess(session.Invocation.IsAiMemory)) ?? throw new MemoryException(ErrorKind.NotFound, "there is no configuration folder: set OM_CONFIG to a path");
        if (File.Exists(path))
        {
            throw new MemoryException(ErrorKind.AlreadyExists, $"{path} exists and stays as it is");
        }

        Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(path))!);
        await File.WriteAllTextAsync(path, Template.ReplaceLineEndings("\n"));
        session.Text.WriteLine($"written: {path}");
        return 0;
    }

    private static string? OwnPath(ConfigurationSources sources) =>
        sources.Variable("OM_CONFIG") ?? (sources.ConfigurationFolder is { } folder ? Path.Combine(folder, "orleans-memory", "config.toml") : null);

    private static string Text(IFormattable value) => value.ToString(null, CultureInfo.InvariantCulture);

    private static string Text(bool value) => value ? "true" : "false";
}
