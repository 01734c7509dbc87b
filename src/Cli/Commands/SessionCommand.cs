using System.CommandLine;
using OrleansMemory.Api.Routes;
using OrleansMemory.Cli.Options;
using OrleansMemory.Cli.Output;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Cli.Commands;

/// <summary>What an agent begins its session with, for the hooks of programs that start one.</summary>
internal static class SessionCommand
{
    public static CliCommand Create() => CliCommand.Group("session", "What an agent begins its session with", [Start()]);

    private static CliCommand Start()
    {
        var @namespace = OptionKinds.Text("Namespace [default: the git remote's or the folder's name]", "--namespace", "-n");
        var all = OptionKinds.Flag("Of all namespaces", "--all");
        var limit = OptionKinds.Number($"Memories at most [default: {MemoryLimits.DefaultRecallRows}]", 0, MemoryLimits.RecallRows, "--limit");
        return new(new Command("start", "The standards of a namespace, and its memories of the highest priority") { @namespace, all, limit }, async session =>
        {
            var name = session.Value(all) ? null : MemoryRules.Namespace(session.Value(@namespace) ?? session.Configuration.DefaultNamespace ?? DefaultNamespace.Resolve(Environment.CurrentDirectory));
            var service = await session.OpenCollectedAsync();
            var start = await service.StartSessionAsync(name, session.Value(limit) ?? MemoryLimits.DefaultRecallRows);
            if (session.Json)
            {
                session.Report.Object(writer =>
                {
                    writer.WriteNumber("count", start.Memories.Count);
                    writer.WriteStartArray("memories");
                    foreach (var memory in start.Memories)
                    {
                        MemoryJson.WriteSorted(writer, memory, score: 0);
                    }

                    writer.WriteEndArray();
                    writer.WriteString("mode", "session_start");
                    SessionRoutes.WriteStandards(writer, start.Standards);
                });
                return 0;
            }

            foreach (var standard in start.Standards)
            {
                session.Text.WriteLine($"standard of {standard.Namespace}: {standard.Title}");
                session.Text.WriteLine(standard.Content);
                session.Text.WriteLine();
            }

            foreach (var memory in start.Memories)
            {
                Rows.WriteRow(session.Text, memory, session.Now);
                session.Text.WriteLine($"  {memory.Content.ReplaceLineEndings("\n  ")}");
            }

            if (start.Standards.Count + start.Memories.Count == 0)
            {
                session.Error.WriteLine(name is null ? "no memories stored" : $"no memories in {name}");
            }

            return 0;
        });
    }
}
