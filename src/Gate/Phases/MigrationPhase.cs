using System.Globalization;
using System.Text.Json.Nodes;
using OrleansMemory.Gate.Campaigns;
using OrleansMemory.Gate.Clients;
using OrleansMemory.Gate.Nodes;

namespace OrleansMemory.Gate.Phases;

/// <summary>Phase 3: a store goes to PostgreSQL, once more, and back.</summary>
internal static class MigrationPhase
{
    private const string Kept = "phase3";
    private const string Archived = "phase3-archived";

    /// <summary>One memory in so many is archived before the first run.</summary>
    private const int ArchivedShare = 10;

    /// <summary>One in so many is linked to the one after it.</summary>
    private const int LinkedShare = 5;

    public static async Task<RawMigration> RunAsync(PhaseContext context, CancellationToken cancellation)
    {
        var om = new CommandLine(context.Programs.Om);
        var source = Path.Combine(context.Scratch, "phase3-source.db");
        var returned = Path.Combine(context.Scratch, "phase3-returned.db");
        context.Say($"{Declaration.Migrated} memories into a SQLite store");
        _ = await om.JsonAsync(["import", "--db", source, "--trust-source", "--json"], Seed().ToJsonString(), cancellation: cancellation);
        _ = await om.JsonAsync(["forget", "--db", source, "-n", Archived, "--json"], cancellation: cancellation);
        var before = await Rows.ReadAsync(om, ["--db", source], null, cancellation);
        context.Say("a private PostgreSQL server");
        await using var server = await PostgresServer.StartAsync(context.Programs.Om, Path.Combine(context.Scratch, "phase3-pg"));
        context.Say("there, again, and back");
        var forward = await MigrateAsync($"sqlite://{source}", server.Url);
        var there = await Rows.ReadAsync(om, [], server.Url, cancellation);
        var again = await MigrateAsync($"sqlite://{source}", server.Url);
        var back = await MigrateAsync(server.Url, $"sqlite://{returned}");
        return new(forward, again, back, before, there, await Rows.ReadAsync(om, ["--db", returned], null, cancellation));

        Task<System.Text.Json.JsonElement> MigrateAsync(string from, string to) => om.JsonAsync(["migrate", "--from", from, "--to", to, "--batch", "500", "--json"], cancellation: cancellation);
    }

    private static JsonObject Seed()
    {
        var memories = new JsonArray();
        var links = new JsonArray();
        for (var number = 0; number < Declaration.Migrated; number++)
        {
            var isArchived = number % ArchivedShare == 0;
            memories.Add(new JsonObject
            {
                ["id"] = IdOf(number),
                ["tier"] = (number % 3) switch { 0 => "short", 1 => "mid", _ => "long" },
                ["namespace"] = isArchived ? Archived : Kept,
                ["title"] = string.Create(CultureInfo.InvariantCulture, $"memory {number}"),
                ["content"] = string.Create(CultureInfo.InvariantCulture, $"Content {number} with “quotes”, a tab\t, 中文 and 🙂."),
                ["tags"] = new JsonArray("gate", string.Create(CultureInfo.InvariantCulture, $"of-{number % 7}")),
                ["priority"] = 1 + (number % 10),
                ["confidence"] = (number % 101) / 100.0,
                ["source"] = "import",
                ["access_count"] = 0,
                ["created_at"] = Instant(number),
                ["updated_at"] = Instant(number + 1),
                ["metadata"] = new JsonObject { ["number"] = number, ["nested"] = new JsonObject { ["list"] = new JsonArray(1, 2.5, "three", true) } },
            });
            if (!isArchived && number % LinkedShare == 1)
            {
                links.Add(new JsonObject { ["source_id"] = IdOf(number), ["target_id"] = IdOf(number + 1), ["relation"] = "related_to", ["created_at"] = Instant(number) });
            }
        }

        return new() { ["memories"] = memories, ["links"] = links, ["count"] = Declaration.Migrated, ["exported_at"] = Instant(0) };
    }

    private static string IdOf(int number) => string.Create(CultureInfo.InvariantCulture, $"00000000-0000-4000-8000-{number:d12}");

    private static string Instant(int second) => DateTimeOffset.UnixEpoch.AddYears(56).AddSeconds(second).ToString("yyyy-MM-ddTHH:mm:ss+00:00", CultureInfo.InvariantCulture);
}
