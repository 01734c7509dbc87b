using System.Buffers;
using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using OrleansMemory.Api.Json;
using OrleansMemory.Cli.Options;
using OrleansMemory.Cli.Output;
using OrleansMemory.Cli.Remote;
using OrleansMemory.Core;
using OrleansMemory.Core.Backfills;

namespace OrleansMemory.Cli.Commands;

/// <summary>The backfills of a node, or of a database that no node serves: there nothing runs, but what is asked stays.</summary>
internal static class BackfillCommands
{
    private const string List = "list";

    public static CliCommand Create()
    {
        var action = new Argument<string>("ACTION")
        {
            Description = "list; pause, resume or retry STEP: rows in quarantine are taken up again by retry; dry-run [STEP]: count the rows that a step would take",
            DefaultValueFactory = _ => List,
        };
        var step = new Argument<string?>("STEP") { Description = "The name of a step, as list shows it", Arity = ArgumentArity.ZeroOrOne };
        var command = new Command("backfills", "See to the backfills of a node: work over stored rows that a new release needs once") { action, step };
        return new(command, async session =>
        {
            var (asked, name) = (session.Required(action), session.Value(step));
            switch (asked)
            {
                case List or BackfillActions.DryRun:
                    break;
                case BackfillActions.Pause or BackfillActions.Resume or BackfillActions.Retry when name is not null:
                    break;
                case BackfillActions.Pause or BackfillActions.Resume or BackfillActions.Retry:
                    throw new UsageException(command, $"{asked} needs the name of a step");
                default:
                    throw new UsageException(command, $"invalid value '{asked}' for ACTION: use list, pause, resume, retry or dry-run");
            }

            var answer = session.Node is { } address ? await AskAsync(session, address, asked, name) : await AskAsync(((INodeService)await session.OpenAsync()).Backfills!, asked, name);
            if (session.Json)
            {
                session.Report.Json(writer => answer.WriteTo(writer));
            }
            else
            {
                Print(session, answer);
            }

            return 0;
        });
    }

    private static async Task<JsonElement> AskAsync(Session session, Uri address, string action, string? step)
    {
        using var client = new NodeClient(address, session.Configuration.ApiKey);
        return action == List
            ? (await client.GetAsync("backfills")).Body
            : (await client.SendAsync(
                HttpMethod.Post,
                "backfills",
                writer =>
                {
                    writer.WriteStartObject();
                    writer.WriteString("action", action);
                    writer.WriteString("step", step);
                    writer.WriteEndObject();
                },
                context: null)).Body;
    }

    private static async Task<JsonElement> AskAsync(BackfillRunner runner, string action, string? step)
    {
        if (action == BackfillActions.DryRun)
        {
            var counted = await runner.DryRunAsync(step);
            return Parsed(writer => BackfillJson.Write(writer, counted));
        }

        if (action != List)
        {
            await runner.ActAsync(action, step!);
        }

        var overview = await runner.ReadAsync();
        return Parsed(writer => BackfillJson.Write(writer, overview));
    }

    private static JsonElement Parsed(Action<Utf8JsonWriter> write)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var writer = new Utf8JsonWriter(buffer))
        {
            write(writer);
        }

        return JsonDocument.Parse(buffer.WrittenMemory).RootElement;
    }

    private static void Print(Session session, JsonElement answer)
    {
        if (answer.TryGetProperty("dry_run", out var counted))
        {
            foreach (var row in counted.EnumerateArray())
            {
                session.Text.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{NameOf(row)}: {row.GetProperty("remaining").GetInt64()} rows"));
            }

            return;
        }

        foreach (var row in answer.GetProperty("backfills").EnumerateArray())
        {
            session.Text.WriteLine(BackfillLine.Of(row));
        }

        if (answer.TryGetProperty("cluster", out var reports))
        {
            foreach (var row in reports.EnumerateArray())
            {
                var nodes = row.GetProperty("nodes").EnumerateArray().Where(static node => node.GetProperty("complete").GetBoolean()).Select(static node => node.GetProperty("node").GetString());
                session.Text.WriteLine($"cluster {NameOf(row)}: {(row.GetProperty("complete").GetBoolean() ? "complete" : "not complete")}; complete on: {string.Join(", ", nodes)}");
            }
        }

        foreach (var row in answer.GetProperty("quarantine").EnumerateArray())
        {
            session.Text.WriteLine($"quarantined by {NameOf(row)}: {row.GetProperty("key").GetString()}: {row.GetProperty("error").GetString()}");
        }
    }

    private static string NameOf(JsonElement row) => string.Create(CultureInfo.InvariantCulture, $"{row.GetProperty("step").GetString()} v{row.GetProperty("version").GetInt32()}");
}
