using System.Diagnostics;
using System.Text;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using OrleansMemory.Compliance;

namespace OrleansMemory.Cli.Tests;

/// <summary>What the protocol's own programs say of the server. They come from the npm registry, so only the campaign runs them.</summary>
[Trait(Campaign.Trait, "mcp")]
public sealed partial class McpClientsTests : IDisposable
{
    private const string Node = "node@22.23.3";
    private const string Inspector = "@modelcontextprotocol/inspector@2.12.0";
    private const string Conformance = "@modelcontextprotocol/conformance@0.1.16";

    /// <summary>The others ask for tools, resources and prompts that only a server made for the suite has, or for what this one does not offer.</summary>
    private static readonly string[] Applies = ["dns-rebinding-protection", "logging-set-level", "ping", "prompts-list", "server-initialize", "server-sse-multiple-streams", "tools-list"];

    private readonly Om _om = new();

    public void Dispose() => _om.Dispose();

    [Fact]
    public async Task The_inspector_lists_and_calls_over_both_transports()
    {
        await using var node = await _om.ServeAsync("--db", _om.PathTo("inspected.db"));
        foreach (var target in new[] { [node.Url + "/mcp", "--transport", "http"], new[] { _om.Program, "mcp", "--db", _om.PathTo("stdio.db") } })
        {
            var tools = await InspectAsync(target, "--method", "tools/list");
            Assert.Equal(36, tools["tools"]!.AsArray().Count);
            var stored = await InspectAsync(target, "--method", "tools/call", "--tool-name", "memory_store", "--tool-arg", "title=inspected", "content=by the inspector", "namespace=inspector");
            Assert.Equal("inspected", (string?)stored["structuredContent"]!["title"]);
            var found = await InspectAsync(target, "--method", "tools/call", "--tool-name", "memory_recall", "--tool-arg", "context=inspector", "namespace=inspector");
            Assert.Equal(1, (int)found["structuredContent"]!["count"]!);
            Assert.StartsWith("count:1|mode:", (string?)found["content"]![0]!["text"]);
            Assert.Equal(2, (await InspectAsync(target, "--method", "prompts/list"))["prompts"]!.AsArray().Count);
            TestContext.Current.TestOutputHelper?.WriteLine($"{Inspector} {target[^1]}: 36 tools, 2 prompts, 2 calls");
        }
    }

    [Fact]
    public async Task The_conformance_suite_passes_what_applies()
    {
        await using var node = await _om.ServeAsync("--db", _om.PathTo("conformance.db"));
        foreach (var scenario in Applies)
        {
            var outcome = await NpxAsync(Conformance, "conformance", "server", "--url", node.Url + "/mcp", "--scenario", scenario);
            var counts = Counts().Match(outcome.Output + outcome.Error);
            TestContext.Current.TestOutputHelper?.WriteLine($"{Conformance} {scenario}: {counts.Value}");
            Assert.True(outcome.ExitCode == 0 && counts.Success, $"{scenario}: {outcome.Output}{outcome.Error}");
        }
    }

    private async Task<JsonNode> InspectAsync(string[] target, params string[] arguments)
    {
        // The target of standard input and output takes all arguments behind it for its own.
        var isUrl = target[0].StartsWith("http", StringComparison.Ordinal);
        var outcome = await NpxAsync(Inspector, isUrl ? ["mcp-inspector", "--cli", .. target, .. arguments] : ["mcp-inspector", "--cli", .. arguments, "--", .. target]);
        Assert.True(outcome.ExitCode == 0, $"{string.Join(' ', arguments)}: {outcome.Output}{outcome.Error}");
        return JsonNode.Parse(outcome.Output)!;
    }

    private async Task<Outcome> NpxAsync(string package, params string[] arguments)
    {
        Assert.SkipUnless(Environment.GetEnvironmentVariable("OM_CAMPAIGN") == "mcp", "fetches programs from the npm registry: ./test --campaign mcp");
        var npx = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator).Select(static folder => Path.Combine(folder, "npx")).FirstOrDefault(File.Exists);
        Assert.SkipWhen(npx is null, "npx is not installed");
        var start = new ProcessStartInfo(npx!)
        {
            WorkingDirectory = _om.Folder,
            UseShellExecute = false,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            StandardOutputEncoding = Encoding.UTF8,
        };

        // The programs need a newer Node than some systems have.
        foreach (var argument in (string[])["--yes", "--package", Node, "--package", package, "--", .. arguments])
        {
            start.ArgumentList.Add(argument);
        }

        using var process = Process.Start(start)!;
        process.StandardInput.Close();
        var output = process.StandardOutput.ReadToEndAsync();
        var error = process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync().WaitAsync(TimeSpan.FromMinutes(5));
        return new(process.ExitCode, await output, await error);
    }

    [GeneratedRegex(@"Passed: \d+/\d+, \d+ failed, \d+ warnings", RegexOptions.None, 1_000)]
    private static partial Regex Counts();
}
