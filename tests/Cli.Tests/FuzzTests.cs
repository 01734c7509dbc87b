using System.Text;
using OrleansMemory.Cli.Generated;
using OrleansMemory.Cli.Output;
using OrleansMemory.Compliance;

namespace OrleansMemory.Cli.Tests;

/// <summary>
/// Exports, import files and arguments that were damaged at random, through the whole command line in this process: a clear error or a result, no crash, and
/// nothing half-imported. The campaign <c>cli-fuzz</c> runs 10,000.
/// </summary>
public sealed class FuzzTests : IDisposable
{
    private static readonly int Inputs = Campaign.Count("cli-fuzz", reduced: 300, full: 10_000);

    private static readonly string[] Splinters =
        ["null", "-1", "1e999", "\"\\ud800\"", "\"\\u0000\"", "[[[[[[[[", "{}", "[]", "\"", "\\", ",", ":", "}", "]", "true", "99999999999999999999", "\n", "\r\n", "\0", "é😀", "\"x\":", "{\"a\":"];

    private static readonly string Claude = """
        {"uuid":"u1","name":"Deploys","created_at":"2025-01-01T00:00:00Z","chat_messages":[{"sender":"human","text":"When?"},{"sender":"assistant","content":[{"type":"text","text":"Tuesdays."}]},{"role":"human","text":"Thanks"}]}
        {"uuid":"u2","name":"","chat_messages":[{"sender":"human","text":"a"},{"sender":"assistant","text":"b"},{"sender":"human","text":"c"}]}
        {"uuid":"u3","name":"tree","mapping":{"a":{"message":{"author":{"role":"user"},"content":{"parts":["x"]},"create_time":1}},"b":{"message":{"author":{"role":"assistant"},"content":{"parts":["y"]},"create_time":2}},"c":{"message":{"author":{"role":"user"},"content":{"parts":["z"]},"create_time":3}}}}
        """;

    private static readonly string ChatGpt = """
        [{"id":"g1","title":"Plans","create_time":1735689600,"mapping":{"b":{"message":{"author":{"role":"user"},"content":{"parts":["first"]},"create_time":1}},"c":{"message":{"author":{"role":"assistant"},"content":{"parts":["second",{"text":"more"}]},"create_time":2}},"d":{"message":{"author":{"role":"user"},"content":{"parts":["third"]},"create_time":3.5}},"r":{"message":null}}},
        {"id":"g2","title":"Others","create_time":1735689700.25,"mapping":{"b":{"message":{"author":{"role":"user"},"content":{"parts":["1"]},"create_time":1}},"c":{"message":{"author":{"role":"assistant"},"content":{"parts":["2"]},"create_time":2}},"d":{"message":{"author":{"role":"user"},"content":{"parts":["3"]},"create_time":3}}}}]
        """;

    private static readonly string Slack = """[{"user":"U1","text":"one","ts":"1735689600.1"},{"username":"bot","text":"two","ts":"1735689601.2"},{"user":"U1","text":"three","ts":"1735689602.3"}]""";

    private readonly string _folder = Directory.CreateTempSubdirectory("om-fuzz-").FullName;

    [Fact]
    [Trait(Campaign.Trait, "cli-fuzz")]
    public async Task Damaged_exports_and_import_files_import_all_or_nothing()
    {
        var import = MemoryTests.Export("""{"id":"a","title":"a","tags":["x"],"metadata":{"agent_id":"bob","deep":{"x":[1,2]}}}""", """{"id":"b","title":"b"}""");
        var (refused, taken) = (0, 0);
        for (var seed = 0; seed < Inputs; seed++)
        {
            var random = new Random(seed);
            var database = Path.Combine(_folder, "fuzz.db");
            var (text, arguments) = (seed % 4) switch
            {
                0 => (Claude, new[] { "mine", Path.Combine(_folder, "claude.jsonl"), "-f", "claude", "--min-messages", "1" }),
                1 => (ChatGpt, ["mine", Path.Combine(_folder, "chatgpt.json"), "-f", "chatgpt", "--min-messages", "1"]),
                2 => (Slack, ["mine", Path.Combine(_folder, "slack"), "-f", "slack", "--min-messages", "1"]),
                _ => (import, ["import", "--trust-source"]),
            };
            var bytes = Damaged(Encoding.UTF8.GetBytes(text), random);
            var file = seed % 4 == 2 ? Path.Combine(Directory.CreateDirectory(Path.Combine(_folder, "slack", "general")).FullName, "day.json") : arguments.Length > 2 ? arguments[1] : Path.Combine(_folder, "input");
            await File.WriteAllBytesAsync(file, bytes);
            var before = File.Exists(database) ? await CountAsync(database) : 0;
            var outcome = await RunAsync(bytes, ["--db", database, "--json", .. arguments]);
            var why = $"seed {seed}: {Encoding.UTF8.GetString(bytes)}\nexit {outcome.ExitCode}\nstdout: {outcome.Output}\nstderr: {outcome.Error}";
            Assert.True(outcome.ExitCode is 0 or 1, why);
            Assert.False(outcome.Error.Contains("Exception", StringComparison.Ordinal) || outcome.Error.Contains("   at ", StringComparison.Ordinal), why);
            var after = File.Exists(database) ? await CountAsync(database) : 0;
            if (outcome.Output.Length == 0)
            {
                // Refused as a whole.
                Assert.True(outcome.ExitCode == 1 && outcome.Error.StartsWith("Error: ", StringComparison.Ordinal) && outcome.Error.Length > 10, why);
                Assert.True(before == after, $"{before} memories before, {after} after\n{why}");
                refused++;
            }
            else
            {
                Assert.True(after - before <= outcome.Json.GetProperty("imported").GetInt64(), $"{before} memories before, {after} after\n{why}");
                taken++;
            }

            if (seed % 50 == 49)
            {
                // Small again.
                foreach (var old in Directory.GetFiles(_folder, "fuzz.db*"))
                {
                    File.Delete(old);
                }
            }
        }

        // Both happened.
        Assert.True(refused > Inputs / 20 && taken > Inputs / 20, $"{refused} refused, {taken} taken");
    }

    [Fact]
    public async Task A_key_that_is_no_Unicode_is_malformed()
    {
        var outcome = await RunAsync([.. "{\"m"u8, 0xE5, .. "mories\":[]}"u8], ["--db", Path.Combine(_folder, "key.db"), "import"]);
        Assert.Equal((1, "Error: malformed JSON; nothing was imported"), (outcome.ExitCode, outcome.Error.Split('\n')[0]));
        Assert.DoesNotContain("Exception", outcome.Error, StringComparison.Ordinal);
    }

    [Fact]
    [Trait(Campaign.Trait, "cli-fuzz")]
    public async Task Any_arguments_end_with_a_result_or_a_clear_error()
    {
        // Those that run long, start servers, or write where nobody told them to.
        string[] left = ["up", "serve", "sync-daemon", "mcp", "bench", "gate", "postgres", "backup", "restore", "cluster", "config", "curator", "shell", "sync"];
        var root = CommandLine.Tree(new(Invocation.Om));
        var outline = CommandOutline.Of(root).Skip(1).Where(command => !left.Contains(command.Path[1])).ToList();
        string[] values = ["", "-", "--", "x", "a,b", "-1", "0", "7", "1e309", "nan", "é😀", "mid", "typo", "2025-01-01T00:00:00Z", "\n", new('x', 70_000), "../x", "compat", "--json", "-n", "=", "--title=", "00000000"];
        for (var seed = 0; seed < Inputs; seed++)
        {
            var random = new Random(seed);
            var command = outline[random.Next(outline.Count)];
            List<string> arguments = ["--db", Path.Combine(_folder, "arguments.db"), .. command.Path.Skip(1)];
            for (var count = random.Next(8); count > 0; count--)
            {
                var options = command.Options.Concat(CommandOutline.Globals(root).Where(static option => option.Name is not ("--db" or "--url" or "--db-passphrase-file"))).ToList();
                arguments.Add(random.Next(3) == 0 ? values[random.Next(values.Length)] : options[random.Next(options.Count)].Name);
                if (random.Next(2) == 0)
                {
                    arguments.Add(values[random.Next(values.Length)]);
                }
            }

            var outcome = await RunAsync([], [.. arguments]);
            var why = $"seed {seed}: {string.Join(' ', arguments)[..Math.Min(500, string.Join(' ', arguments).Length)]}\nexit {outcome.ExitCode}\nstderr: {outcome.Error}";
            Assert.True(outcome.ExitCode is 0 or 1 or 2, why);
            Assert.True(outcome.ExitCode == 0 || outcome.Error.Length > 5, why);
            Assert.False(outcome.Error.Contains("Exception", StringComparison.Ordinal) || outcome.Error.Contains("   at ", StringComparison.Ordinal), why);
        }
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private static async Task<long> CountAsync(string database) =>
        (await RunAsync([], ["--db", database, "--json", "stats"])).Json.GetProperty("total").GetInt64();

    private static async Task<Outcome> RunAsync(byte[] input, string[] arguments)
    {
        using var output = new MemoryStream();
        using var error = new MemoryStream();
        int status;
        using (var report = new Report(output, error, colour: false, () => new MemoryStream(input)))
        {
            status = await CommandLine.RunAsync(new(Invocation.Om), arguments, report);
        }

        return new(status, Encoding.UTF8.GetString(output.ToArray()), Encoding.UTF8.GetString(error.ToArray()));
    }

    /// <summary>A few cuts, splinters, repetitions and flipped bits; one input in ten stays whole.</summary>
    private static byte[] Damaged(byte[] whole, Random random)
    {
        var bytes = whole.ToList();
        for (var blows = random.Next(10) == 0 ? 0 : random.Next(1, 4); blows > 0 && bytes.Count > 0; blows--)
        {
            var (at, length) = (random.Next(bytes.Count), random.Next(1, 12));
            switch (random.Next(6))
            {
                case 0:
                    bytes[at] ^= (byte)(1 << random.Next(8));
                    break;
                case 1:
                    bytes.RemoveRange(at, Math.Min(length, bytes.Count - at));
                    break;
                case 2:
                    bytes.InsertRange(at, Encoding.UTF8.GetBytes(Splinters[random.Next(Splinters.Length)]));
                    break;
                case 3:
                    bytes.InsertRange(at, bytes.GetRange(at, Math.Min(length * 10, bytes.Count - at)));
                    break;
                case 4:
                    bytes.RemoveRange(at, bytes.Count - at);
                    break;
                default:
                    Replace(bytes, random);
                    break;
            }
        }

        return [.. bytes];
    }

    /// <summary>A value by another one: still JSON, of another shape.</summary>
    private static void Replace(List<byte> bytes, Random random)
    {
        var text = Encoding.UTF8.GetString([.. bytes]);
        var colons = Enumerable.Range(0, text.Length).Where(index => text[index] == ':' && index > 0 && text[index - 1] == '"').ToList();
        if (colons.Count == 0)
        {
            return;
        }

        var start = colons[random.Next(colons.Count)] + 1;
        var end = start;
        while (end < text.Length && text[end] is not (',' or '}' or ']'))
        {
            end++;
        }

        string[] values = ["null", "7", "-1", "\"\"", "\"x\"", "[]", "{}", "true", "\"\\ud800\"", "1e999", "\"2025-13-01T00:00:00Z\"", "[[1]]", "{\"a\":[1]}", "\"" + new string('x', 70_000) + "\""];
        bytes.Clear();
        bytes.AddRange(Encoding.UTF8.GetBytes(text[..start] + values[random.Next(values.Length)] + text[end..]));
    }
}
