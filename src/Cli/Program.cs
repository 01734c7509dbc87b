using OrleansMemory.Cli;
using OrleansMemory.Cli.Output;

var invocation = Invocation.Current();
using var report = Report.OfConsole();

// Asked for by scripts in loops: answered without building the command tree.
if (args is ["--version"] or ["-V"])
{
    report.Text.WriteLine(invocation.VersionLine);
    return 0;
}

return await CommandLine.RunAsync(invocation, args, report);
