using System.CommandLine;
using System.Globalization;
using Microsoft.Extensions.Logging;
using OrleansMemory.Api.Hosting;
using OrleansMemory.Api.Mcp;
using OrleansMemory.Api.Metrics;
using OrleansMemory.Cli.Mcp;
using OrleansMemory.Cli.Options;

namespace OrleansMemory.Cli.Commands;

/// <summary>The Model Context Protocol for client programs that start their servers themselves.</summary>
internal static class McpCommand
{
    private const string Install = "install";
    private const string ServerName = "ai-memory";
    private const string KeywordTier = "keyword";

    public static CliCommand Create()
    {
        var action = new Argument<string?>("ACTION") { Description = "install CLIENT: tell a client program of this server; without it, serve one", Arity = ArgumentArity.ZeroOrOne };
        var client = new Argument<string?>("CLIENT") { Description = ClientProgram.Names, Arity = ArgumentArity.ZeroOrOne };
        var tier = OptionKinds.Text("Feature tier: keyword, semantic, smart or autonomous", "--tier", "-T");
        var profile = OptionKinds.Text("Tools to show: core (store, recall, get, list, capabilities) or full [default: full]", "--profile");
        var yes = OptionKinds.Flag("With install: write without asking", "--yes", "-y");
        var print = OptionKinds.Flag("With install: show what would be written, and write nothing", "--print");
        var file = OptionKinds.Text("With install: the file to write instead of the client's own, such as .mcp.json of a project", "--file");
        var command = new Command("mcp", "Serve tools to a client program over standard input and output, on a local database or, with --url, on a node")
        {
            action, client, tier, profile, yes, print, file,
        };
        return new(command, async session =>
        {
            var shown = session.Value(profile) is { } name
                ? ToolProfiles.Find(name) ?? throw new UsageException(command, $"invalid value '{name}' for '--profile': use {ToolProfiles.Names}")
                : ToolProfile.Full;
            switch (session.Value(action))
            {
                case null:
                    await ServeAsync(session, shown);
                    return 0;
                case Install when session.Value(client) is { } program:
                    var target = ClientProgram.Find(program) ?? throw new UsageException(command, $"invalid value '{program}' for CLIENT: use {ClientProgram.Names}");
                    return InstallFor(session, session.Value(file) is { } path ? target with { Path = Path.GetFullPath(path) } : target, shown, session.Value(yes), session.Value(print));
                case Install:
                    throw new UsageException(command, $"install needs the client: {ClientProgram.Names}");
                case { } unknown:
                    throw new UsageException(command, $"invalid value '{unknown}' for ACTION: use {Install}, or nothing to serve");
            }
        });
    }

    private static async Task ServeAsync(Session session, ToolProfile profile)
    {
        using var loggers = LoggerFactory.Create(static logging =>
        {
            // Standard output is the protocol's.
            StandardErrorLog.Add(logging);
            logging.SetMinimumLevel(LogLevel.Warning);
        });
        using var input = Console.OpenStandardInput();
        var output = session.Report.Raw();
        var agentId = NameOf(session);
        if (session.Node is { } address)
        {
            session.Error.WriteLine($"ai-memory MCP server started (stdio, node {address.GetLeftPart(UriPartial.Authority)})");
            await new McpBridge(address, session.Configuration.ApiKey, profile, agentId).RunAsync(input, output);
            return;
        }

        using var instruments = new ApiInstruments();
        await using var calls = new DatabaseCalls(session, session.Configuration.GcInterval, TimeProvider.System);
        session.Error.WriteLine($"ai-memory MCP server started (stdio, tier={KeywordTier})");
        await StdioServer.RunAsync(
            input, output, profile, new(TimeProvider.System, instruments, new(TimeProvider.System)), (client, run) => calls.RunAsync(agentId(client), run), loggers.CreateLogger(nameof(StdioServer)), CancellationToken.None);
    }

    /// <summary>Who calls: whom the user names, else the client program on this machine.</summary>
    private static Func<string?, string> NameOf(Session session) => client => client is null || session.IsNamed
        ? session.AgentId
        : string.Create(CultureInfo.InvariantCulture, $"{ClientNames.Of(client)}{Identity.OfProcess()}");

    private static int InstallFor(Session session, ClientProgram client, ToolProfile profile, bool yes, bool print)
    {
        var change = ClientConfiguration.Add(client, Entry(session, profile), File.Exists(client.Path) ? File.ReadAllText(client.Path) : null);
        if (!change.Changes)
        {
            session.Text.WriteLine($"{client.Path} has it already");
            return 0;
        }

        session.Text.WriteLine($"{(change.Replaces ? "replaces the entry" : "new entry")} {ServerName} in {client.Path}:");
        session.Text.WriteLine(change.Shown.TrimEnd('\n'));
        session.Text.Flush();
        if (print)
        {
            return 0;
        }

        if (!yes && !Confirmed(session))
        {
            session.Error.WriteLine("nothing was written; --yes writes it");
            return 1;
        }

        ClientConfiguration.Write(client.Path, change.Text);
        session.Text.WriteLine("written; start the client anew");
        return 0;
    }

    private static bool Confirmed(Session session)
    {
        if (Console.IsInputRedirected)
        {
            return false;
        }

        session.Error.Write("Write it? [y/N] ");
        return Console.ReadLine()?.Trim().ToUpperInvariant() is "Y" or "YES";
    }

    private static ServerEntry Entry(Session session, ToolProfile profile)
    {
        List<string> arguments = ["mcp"];
        if (session.Address is { } address)
        {
            arguments.AddRange(["--url", address.GetLeftPart(UriPartial.Path).TrimEnd('/')]);
        }
        else if (session.NamedDatabase is { } database)
        {
            // The client starts the server from a folder of its own.
            arguments.AddRange(["--db", database]);
        }

        if (session.IsNamed)
        {
            arguments.AddRange(["--agent-id", session.AgentId]);
        }

        if (profile == ToolProfile.Core)
        {
            arguments.AddRange(["--profile", "core"]);
        }

        return new(ServerName, Environment.ProcessPath ?? "om", arguments);
    }
}
