namespace OrleansMemory.Cli.Tests;

public sealed class InvocationTests : IDisposable
{
    private readonly Om _om = new();

    [Fact]
    public async Task Each_name_has_its_version_line()
    {
        var om = (await _om.RunAsync("--version")).Exits(0);
        Assert.Matches(@"^om \d+\.\d+\.\d+\n$", om.Output);
        Assert.Equal(om.Output, (await _om.RunAsync("--json", "-V")).Exits(0).Output);

        var aiMemory = (await _om.RunAsAiMemoryAsync("--version")).Exits(0);
        Assert.Equal($"ai-memory 0.6.0 (OrleansMemory {om.Output[3..].Trim()})\n", aiMemory.Output);
        Assert.Equal(aiMemory.Output, (await _om.RunWithAsync([("OM_INVOKED_AS", "ai-memory")], "-V")).Exits(0).Output);
    }

    [Fact]
    public async Task Help_names_every_command_and_writes_no_file()
    {
        var help = (await _om.RunAsync("--help")).Exits(0);
        string[] commands =
        [
            "serve", "up", "store", "get", "list", "search", "recall", "update", "delete", "promote", "forget", "link", "stats", "namespaces", "gc", "export",
            "import", "bench",
        ];
        Assert.All(commands, command => Assert.Contains($"\n  {command} ", help.Output, StringComparison.Ordinal));
        Assert.Empty(Directory.GetFileSystemEntries(_om.Folder));
    }

    [Fact]
    public async Task Help_of_a_command_comes_in_three_ways()
    {
        var option = (await _om.RunAsync("store", "--help")).Exits(0);
        Assert.Contains("--ttl-secs", option.Output, StringComparison.Ordinal);
        Assert.Contains("--json", option.Output, StringComparison.Ordinal);
        Assert.Equal(option.Output, (await _om.RunAsync("help", "store")).Exits(0).Output);
        Assert.Equal(option.Output, (await _om.RunAsync("store", "-h")).Exits(0).Output);
    }

    [Fact]
    public async Task No_command_is_wrong_usage_with_help_on_standard_error()
    {
        var none = (await _om.RunAsync()).Exits(2);
        Assert.Empty(none.Output);
        Assert.Contains("store", none.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("unrecognized subcommand 'remember'", "remember")]
    [InlineData("unexpected argument '--bogus' found", "list", "--bogus")]
    [InlineData("unexpected argument '--bogus' found", "get", "--bogus")]
    [InlineData("'--title' is required", "store", "--content", "x")]
    [InlineData("a value is required for '--title'", "store", "--title")]
    [InlineData("a value is required for '--namespace'", "forget", "-n", "--json")]
    [InlineData("invalid value 'many' for '--limit'", "list", "--limit", "many")]
    [InlineData("invalid value '70000' for '--port'", "serve", "--port", "70000")]
    [InlineData("'--tls-cert' and '--tls-key' need each other", "serve", "--tls-cert", "x.pem")]
    [InlineData("'--url' cannot be used with '--db'", "list", "--url", "http://127.0.0.1:1", "--db", "x.db")]
    [InlineData("--limit", "list", "--limit", "1", "--limit", "2")]
    [InlineData("no more were expected", "list", "--json=yes")]
    [InlineData("two", "get", "one", "two")]
    public async Task Wrong_usage_is_status_2_and_says_what(string message, params string[] arguments)
    {
        var outcome = (await _om.RunAsync(arguments)).Exits(2);
        Assert.Empty(outcome.Output);
        Assert.Contains(message, outcome.Error, StringComparison.Ordinal);
        Assert.Contains("Usage: om", outcome.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_database_is_found_by_option_variable_and_name()
    {
        (await _om.RunAsync("stats")).Exits(0);
        Assert.True(File.Exists(_om.DataFile));

        (await _om.RunAsAiMemoryAsync("stats")).Exits(0);
        Assert.True(File.Exists(_om.PathTo("ai-memory.db")));

        (await _om.RunWithAsync([("AI_MEMORY_DB", "peer.db"), ("OM_DB", "own.db")], "stats")).Exits(0);
        (await _om.RunWithAsync([("AI_MEMORY_DB", "peer.db")], "stats")).Exits(0);
        (await _om.RunWithAsync([("OM_DB", "own.db"), ("OM_URL", "http://127.0.0.1:1")], "--db", "flag.db", "stats")).Exits(0);
        Assert.True(File.Exists(_om.PathTo("own.db")));
        Assert.True(File.Exists(_om.PathTo("peer.db")));
        Assert.True(File.Exists(_om.PathTo("flag.db")));
    }

    [Fact]
    public async Task A_missing_folder_of_a_named_database_is_an_error()
    {
        var outcome = (await _om.RunAsync("--db", "none/x.db", "stats")).Exits(1);
        Assert.StartsWith("Error: failed to open database", outcome.Error, StringComparison.Ordinal);
        Assert.Contains("\n\nCaused by:\n    ", outcome.Error, StringComparison.Ordinal);
        Assert.False(Directory.Exists(_om.PathTo("none")));
    }

    [Theory]
    [InlineData("stats")]
    [InlineData("stats --json")]
    [InlineData("export")]
    public async Task Output_that_cannot_be_written_is_an_error(string command)
    {
        var outcome = (await _om.RunAsync("/bin/sh", ["-c", $"\"{_om.Program}\" {command} > /dev/full"], input: null)).Exits(1);
        Assert.Equal("Error: No space left on device\n", outcome.Error);
    }

    [Fact]
    public async Task A_passphrase_file_is_checked()
    {
        await File.WriteAllTextAsync(_om.PathTo("empty"), "\n");
        Assert.Contains("is empty", (await _om.RunAsync("stats", "--db-passphrase-file", "empty")).Exits(1).Error, StringComparison.Ordinal);
        (await _om.RunAsync("stats", "--db-passphrase-file", "absent")).Exits(1);
        await File.WriteAllTextAsync(_om.PathTo("phrase"), "secret\n");
        Assert.Contains("not encrypted", (await _om.RunAsync("stats", "--db-passphrase-file", "phrase")).Exits(0).Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_configuration_file_names_the_database()
    {
        Directory.CreateDirectory(_om.PathTo(".config/orleans-memory"));
        await File.WriteAllTextAsync(_om.PathTo(".config/orleans-memory/config.toml"), "db = \"~/configured.db\"\n");
        (await _om.RunAsync("stats")).Exits(0);
        Assert.True(File.Exists(_om.PathTo("configured.db")));
        (await _om.RunWithAsync([("OM_NO_CONFIG", "1")], "stats")).Exits(0);
        Assert.True(File.Exists(_om.DataFile));
    }

    public void Dispose() => _om.Dispose();
}
