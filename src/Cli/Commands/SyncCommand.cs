using System.CommandLine;
using System.Text.Json;
using OrleansMemory.Cli.Options;
using OrleansMemory.Cli.Output;
using OrleansMemory.Cli.Sync;
using OrleansMemory.Core.Memories;
using OrleansMemory.Storage;

namespace OrleansMemory.Cli.Commands;

/// <summary>Brings the memories of one database into another, or of both into both.</summary>
internal static class SyncCommand
{
    private const string Pull = "pull";
    private const string Push = "push";
    private const string Merge = "merge";

    public static CliCommand Create()
    {
        var remote = new Argument<string>("REMOTE_DB") { Description = "The other database: a file, or postgres://host/name; created when it is missing" };
        var direction = OptionKinds.Text($"{Pull}, {Push} or {Merge}: of both, what was changed later [default: {Merge}]", "--direction", "-d");
        var trust = OptionKinds.Flag("Keep the authors that incoming rows claim", "--trust-source");
        var dryRun = OptionKinds.Flag("Count what would be done, write nothing", "--dry-run");
        return new(new Command("sync", "Bring the memories and links of two databases together") { remote, direction, trust, dryRun }, async session =>
        {
            var way = session.Value(direction) ?? Merge;
            if (way is not (Pull or Push or Merge))
            {
                throw new MemoryException(ErrorKind.MalformedRequest, $"invalid direction: {way} (use {Pull}, {Push} or {Merge})");
            }

            var location = StoreLocation.Parse(session.Required(remote));
            if (session.Address is null && location.ToString() == session.Database.Store.ToString())
            {
                throw new MemoryException(ErrorKind.MalformedRequest, $"{session.Required(remote)} is the local database itself");
            }

            var local = await session.OpenAsync();
            await using var other = await LocalService.OpenAsync(new(location, InDataFolder: false), session.Configuration.ToNodeSettings());
            using var progress = new ProgressLine(session.Report, way);
            var incoming = new DatabaseCopy(other.Service, local, session.AgentId, restamps: !session.Value(trust), isMerge: way == Merge, progress);
            var outgoing = new DatabaseCopy(local, other.Service, session.AgentId, restamps: false, isMerge: way == Merge, progress);
            if (session.Value(dryRun))
            {
                Show(session, way, way == Push ? null : await incoming.CompareAsync(), way == Pull ? null : await outgoing.CompareAsync());
                return 0;
            }

            var pulled = way == Push ? null : await incoming.RunAsync();
            var pushed = way == Pull ? null : await outgoing.RunAsync();
            progress.End();
            Show(session, way, pulled, pushed);
            return (pulled?.Errors.Count ?? 0) + (pushed?.Errors.Count ?? 0) == 0 ? 0 : 1;
        });
    }

    private static void Show(Session session, string direction, CopySummary? pulled, CopySummary? pushed)
    {
        foreach (var error in (pulled?.Errors ?? []).Concat(pushed?.Errors ?? []))
        {
            session.Error.WriteLine($"  {error}");
        }

        if (session.Json)
        {
            session.Report.Object(writer =>
            {
                writer.WriteString("direction", direction);
                switch (direction)
                {
                    case Pull:
                        writer.WriteNumber("imported", pulled!.Taken);
                        break;
                    case Push:
                        writer.WriteNumber("exported", pushed!.Taken);
                        break;
                    default:
                        writer.WriteNumber("pulled", pulled!.Taken);
                        writer.WriteNumber("pushed", pushed!.Taken);
                        break;
                }
            });
            return;
        }

        session.Text.WriteLine(direction switch
        {
            Pull => $"pulled {pulled!.Taken} memories from remote",
            Push => $"pushed {pushed!.Taken} memories to remote",
            _ => $"merged: pulled {pulled!.Taken}, pushed {pushed!.Taken}",
        });
    }

    private static void Show(Session session, string direction, Comparison? pull, Comparison? push)
    {
        if (!session.Json)
        {
            session.Text.WriteLine($"dry run — {direction} would:");
            Line("pull", pull);
            Line("push", push);
            return;
        }

        session.Report.Object(writer =>
        {
            writer.WriteString("direction", direction);
            writer.WriteBoolean("dry_run", true);
            Write(writer, "pull", pull ?? new());
            Write(writer, "push", push ?? new());
        });

        void Line(string name, Comparison? counts)
        {
            if (counts is not null)
            {
                session.Text.WriteLine($"  {name}: {counts.New} new, {counts.Update} updated, {counts.Noop} unchanged, {counts.Links} links");
            }
        }

        static void Write(Utf8JsonWriter writer, string name, Comparison counts)
        {
            writer.WriteStartObject(name);
            writer.WriteNumber("links", counts.Links);
            writer.WriteNumber("new", counts.New);
            writer.WriteNumber("noop", counts.Noop);
            writer.WriteNumber("update", counts.Update);
            writer.WriteEndObject();
        }
    }
}
