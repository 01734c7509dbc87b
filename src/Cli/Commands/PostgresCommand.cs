using System.CommandLine;
using OrleansMemory.Cli.Options;
using OrleansMemory.Storage.Postgres;

namespace OrleansMemory.Cli.Commands;

/// <summary>A private PostgreSQL server that stays until it is stopped; <c>eng/postgres</c> is its plain name.</summary>
internal static class PostgresCommand
{
    private const string Database = "orleans_memory";

    public static CliCommand Create()
    {
        var action = new Argument<string>("ACTION") { Description = "start, and print the URL of its database; or stop" };
        var data = OptionKinds.Text("Folder of its data, kept [default: om-postgres in the folder for temporary files]", "--data");
        var command = new Command("postgres", "A private PostgreSQL server from the installed binaries, for tests") { action, data };
        return new(command, async session =>
        {
            var folder = session.Value(data) ?? Path.Combine(Path.GetTempPath(), "om-postgres");
            switch (session.Required(action))
            {
                case "start":
                    session.Text.WriteLine(await LocalPostgres.StartToStayAsync(folder, Database));
                    return 0;
                case "stop":
                    await LocalPostgres.StopAsync(folder, fast: true);
                    return 0;
                case var other:
                    throw new UsageException(command, $"invalid value '{other}' for ACTION: use start or stop");
            }
        });
    }
}
