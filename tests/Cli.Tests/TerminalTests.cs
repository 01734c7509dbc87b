using System.Diagnostics;
using System.Text.RegularExpressions;

namespace OrleansMemory.Cli.Tests;

/// <summary>What a person has at a terminal: the shell's lines, and completion by the shells themselves.</summary>
public sealed partial class TerminalTests : IDisposable
{
    private const string Script = "/usr/bin/script";
    private const string HowToInstall = "script is not installed: apt-get install bsdutils";

    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(60);

    private readonly Om _om = new();

    public void Dispose() => _om.Dispose();

    [Theory]
    [InlineData("\r")]
    [InlineData("\n")]
    public async Task The_shell_takes_lines_at_a_terminal_however_they_end(string end)
    {
        Assert.SkipUnless(File.Exists(Script), HowToInstall);
        using var process = Process.Start(Start(Script, "-qec", $"'{_om.Program}' --db '{_om.PathTo("terminal.db")}' shell", "/dev/null"))!;
        var shown = new Shown(process.StandardOutput);

        // Each line once the one before it is done: the editor takes what is typed before it is ready as another's.
        await shown.WaitAsync("memory>");
        await TypeAsync(process, $"store -T kept -c text --json{end}");
        await shown.WaitAsync("\"title\":\"kept\"");
        await shown.WaitAsync("memory>");
        await TypeAsync(process, $"arch\t stats{end}");
        await shown.WaitAsync("archived: 0 total");
        await shown.WaitAsync("memory>");
        await TypeAsync(process, "\u0004");
        await shown.WaitAsync("goodbye");
        await process.WaitForExitAsync().WaitAsync(Deadline);
        Assert.Equal(0, process.ExitCode);
        Assert.Equal("store -T kept -c text --json\narchive stats\nquit\n", await File.ReadAllTextAsync(_om.PathTo(".local/share/orleans-memory/shell-history")));
    }

    [Fact]
    public async Task Colours_are_for_terminals_alone_and_for_who_wants_them()
    {
        Assert.SkipUnless(File.Exists(Script), HowToInstall);
        (await _om.RunAsync("--db", "coloured.db", "store", "-T", "painted", "-c", "text")).Exits(0);
        const string Colour = "\u001b\\[[0-9;]*m";
        var command = $"'{_om.Program}' --db '{_om.PathTo("coloured.db")}' recall painted";
        Assert.Matches(Colour, await ShownAsync(command));
        foreach (var plain in (string[])[$"NO_COLOR=1 {command}", $"TERM=dumb {command}", $"{command} | cat"])
        {
            var shown = await ShownAsync(plain);
            Assert.Contains("painted", shown, StringComparison.Ordinal);
            Assert.DoesNotMatch(Colour, shown);
        }

        async Task<string> ShownAsync(string line)
        {
            using var process = Process.Start(Start(Script, "-qec", line, "/dev/null"))!;
            return await process.StandardOutput.ReadToEndAsync().WaitAsync(Deadline);
        }
    }

    [Fact]
    public async Task Zsh_completes()
    {
        const string Zsh = "/usr/bin/zsh";
        Assert.SkipUnless(File.Exists(Zsh), "zsh is not installed: apt-get install zsh");
        await File.WriteAllTextAsync(_om.PathTo("complete.zsh"), (await _om.RunAsync("completions", "zsh")).Exits(0).Output);

        // In place of the two functions of the line editor, which only it can call; the search path must be as it was for them.
        const string Lines = """
            autoload -Uz compinit; compinit -u -d ./dump
            source ./complete.zsh
            _describe() { print -l -- ${(P)4} | command grep -o '^[^:]*' | command grep "^${words[CURRENT]}" }
            _files() { print files }
            for line in 'om archive re' 'om store --ti' 'om store --title x' 'om archive list --s' 'om arch'; do
                words=(${=line}); CURRENT=$#words; _om | command paste -sd' '
            done
            print ${_comps[om]}
            """;
        Assert.Equal("restore\n--title --tier\nfiles\nfiles\narchive\n_om\n", (await _om.RunAsync(Zsh, ["-f", "-c", Lines], input: null)).Exits(0).Output);
    }

    [Fact]
    public async Task Fish_completes()
    {
        const string Fish = "/usr/bin/fish";
        Assert.SkipUnless(File.Exists(Fish), "fish is not installed: apt-get install fish");
        await File.WriteAllTextAsync(_om.PathTo("complete.fish"), (await _om.RunAsync("completions", "fish")).Exits(0).Output);
        const string Lines = """
            source ./complete.fish
            for line in 'om archive re' 'om store --ti' 'om list --s' 'om archive list --s' 'om arch' 'om --json arch'
                complete -C $line | string replace -r '\t.*' '' | sort | string join ' '
            end
            true
            """;
        Assert.Equal("restore\n--tier --title\n--since\narchive\narchive\n", (await _om.RunAsync(Fish, ["--no-config", "-c", Lines], input: null)).Exits(0).Output);
    }

    private ProcessStartInfo Start(string program, params string[] arguments)
    {
        var start = new ProcessStartInfo(program, arguments) { WorkingDirectory = _om.Folder, UseShellExecute = false, RedirectStandardInput = true, RedirectStandardOutput = true };
        var (path, root) = (Environment.GetEnvironmentVariable("PATH"), Environment.GetEnvironmentVariable("DOTNET_ROOT"));
        start.Environment.Clear();
        foreach (var (name, value) in ((string, string?)[])[("PATH", path), ("DOTNET_ROOT", root), ("HOME", _om.Folder), ("TERM", "xterm"), ("SHELL", "/bin/sh")])
        {
            start.Environment[name] = value;
        }

        return start;
    }

    private static async Task TypeAsync(Process process, string keys)
    {
        await process.StandardInput.WriteAsync(keys);
        await process.StandardInput.FlushAsync();
    }

    /// <summary>What a terminal shows, read as it comes.</summary>
    private sealed partial class Shown(StreamReader output)
    {
        private readonly char[] _buffer = new char[4_096];
        private string _unread = "";

        /// <summary>Reads until it shows a text, and passes it.</summary>
        public async Task WaitAsync(string text)
        {
            int at;
            while ((at = _unread.IndexOf(text, StringComparison.Ordinal)) < 0)
            {
                int read;
                try
                {
                    read = await output.ReadAsync(_buffer).AsTask().WaitAsync(Deadline);
                }
                catch (TimeoutException exception)
                {
                    throw new TimeoutException($"the terminal does not show {text}, but: {_unread}", exception);
                }

                Assert.True(read > 0, $"the terminal ended before it showed {text}: {_unread}");
                _unread = Controls().Replace(_unread + new string(_buffer, 0, read), "");
            }

            _unread = _unread[(at + text.Length)..];
        }

        [GeneratedRegex(@"\u001b[\[=(>][?0-9;]*[A-Za-z]?", RegexOptions.None, matchTimeoutMilliseconds: 1_000)]
        private static partial Regex Controls();
    }
}
