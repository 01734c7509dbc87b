using System.CommandLine;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Cli.Commands;

internal static class ResolveCommand
{
    public static CliCommand Create()
    {
        var winner = new Argument<string>("WINNER") { Description = "Full id of the memory that holds" };
        var loser = new Argument<string>("LOSER") { Description = "Full id of the memory that it supersedes" };
        return new(new Command("resolve", "Settle a contradiction: one memory supersedes another") { winner, loser }, async session =>
        {
            var (held, dropped) = (MemoryRules.Id(session.Required(winner)), MemoryRules.Id(session.Required(loser)));
            var service = await session.OpenAsync();
            await service.SupersedeAsync(held, dropped, session.Write);
            if (session.Json)
            {
                session.Report.Object(writer =>
                {
                    writer.WriteString("loser", dropped);
                    writer.WriteBoolean("resolved", true);
                    writer.WriteString("winner", held);
                });
            }
            else
            {
                session.Text.WriteLine($"resolved: {held} supersedes {dropped}");
            }

            return 0;
        });
    }
}
