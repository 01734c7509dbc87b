using System.Diagnostics;
using System.Text.RegularExpressions;

namespace OrleansMemory.Cli.Tests.Compatibility;

/// <summary>The real program under one of its names, in a folder of its own.</summary>
/// <param name="url">The node that its commands work on; null: a local database.</param>
internal sealed partial class Probe(string name, string? url = null) : IDisposable
{
    private const string Prompt = "memory> ";
    private const string Mark = "@@next@@";

    public string Name { get; } = name;

    public Om Om { get; } = new();

    /// <summary>The database that a run without options uses.</summary>
    public string Database => Name == "om" ? Om.DataFile : Om.PathTo("ai-memory.db");

    public Task<Outcome> RunAsync(params string[] arguments) => RunWithAsync([], arguments);

    private (string Name, string Value)[] Node => url is null ? [] : [("OM_URL", url)];

    public Task<Outcome> RunWithAsync((string Name, string Value)[] environment, params string[] arguments) => Om.RunAsync(Om.ProgramAs(Name), arguments, null, [.. Node, .. environment]);

    public Task<Outcome> FeedAsync(string input, params string[] arguments) => Om.RunAsync(Om.ProgramAs(Name), arguments, System.Text.Encoding.UTF8.GetBytes(input), Node);

    /// <summary>Starts a command and leaves it running.</summary>
    public Process Start(params string[] arguments) => Om.StartAs(Name, Node, arguments);

    /// <summary>Many command lines in one process: each as it would be typed behind the program's name.</summary>
    /// <returns>Of each, what a process of its own would have left.</returns>
    public async Task<IReadOnlyList<Outcome>> BatchAsync(params string[] lines)
    {
        var input = string.Concat(lines.Select(static line => $"{line}\nstatus\necho {Mark}\n"));
        var whole = (await FeedAsync(input, "--agent-id", "alice", "shell")).Exits(0);
        var outputs = whole.Output.Split($"{Mark}\n");
        var errors = whole.Error.Split(Prompt);
        Assert.True(outputs.Length == lines.Length + 1, whole.Output);
        return
        [
            .. lines.Select((_, index) =>
            {
                var status = LastLine().Match(outputs[index]);
                return new Outcome(int.Parse(status.Groups["status"].ValueSpan), outputs[index][..status.Index], errors[1 + (3 * index)]);
            }),
        ];
    }

    public void Dispose() => Om.Dispose();

    [GeneratedRegex(@"(?<=^|\n)(?<status>\d+)\n\z", RegexOptions.None, matchTimeoutMilliseconds: 1_000)]
    private static partial Regex LastLine();
}
