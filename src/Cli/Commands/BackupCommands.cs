using System.CommandLine;
using System.Globalization;
using OrleansMemory.Cli.Options;
using OrleansMemory.Core.Memories;
using OrleansMemory.Storage;
using OrleansMemory.Storage.Backup;

namespace OrleansMemory.Cli.Commands;

/// <summary>Snapshots of a database: taken while a node serves it, checked, and put back.</summary>
internal static class BackupCommands
{
    private const int KeptSnapshots = 48;

    public static CliCommand Backup()
    {
        var to = OptionKinds.Text("Folder for the snapshots [default: ./backups]", "--to");
        var keep = OptionKinds.Number($"Snapshots to keep, the newest; 0 keeps all [default: {KeptSnapshots}]", 0, int.MaxValue, "--keep");
        return new(new Command("backup", "Take a snapshot of the database, also while a node serves it") { to, keep }, async session =>
        {
            var folder = session.Value(to) ?? "./backups";
            var stem = session.Invocation.IsAiMemory ? "ai-memory" : "orleans-memory";
            var manifest = await Snapshots.TakeAsync(
                LocalDatabase(session), folder, stem, session.Value(keep) ?? KeptSnapshots, Invocation.Version, DateTimeOffset.UtcNow);
            if (session.Json)
            {
                WriteManifest(session, manifest);
                return 0;
            }

            session.Text.WriteLine($"Snapshot: {Path.Combine(folder, manifest.Snapshot)}");
            session.Text.WriteLine($"Manifest: {Path.Combine(folder, Path.ChangeExtension(manifest.Snapshot, ".manifest.json"))}");
            session.Text.WriteLine($"SHA-256 : {manifest.Sha256}");
            session.Text.WriteLine($"Bytes   : {manifest.Bytes.ToString(CultureInfo.InvariantCulture)}");
            return 0;
        });
    }

    public static CliCommand Restore()
    {
        var from = OptionKinds.Text("Snapshot, or a folder with snapshots: the newest", "--from");
        from.Required = true;
        var skip = OptionKinds.Flag("Restore without looking at the manifest", "--skip-verify");
        return new(new Command("restore", "Put a snapshot in the place of the database; the node must be stopped") { from, skip }, async session =>
        {
            var restored = await Snapshots.RestoreAsync(session.Required(from)!, LocalDatabase(session), check: !session.Value(skip), DateTimeOffset.UtcNow);
            if (session.Json)
            {
                session.Report.Json(writer =>
                {
                    writer.WriteStartObject();
                    writer.WriteString("from", restored.From);
                    if (restored.Aside is { } aside)
                    {
                        writer.WriteString("previous", aside);
                    }

                    writer.WriteString("status", "restored");
                    writer.WriteString("to", restored.To);
                    writer.WriteEndObject();
                });
                return 0;
            }

            if (restored.Aside is { } previous)
            {
                session.Text.WriteLine($"Previous DB moved to {previous}");
            }

            session.Text.WriteLine($"Restored {restored.From} → {restored.To}");
            return 0;
        });
    }

    public static CliCommand Verify()
    {
        var path = new Argument<string>("PATH") { Description = "Snapshot, or a folder with snapshots: the newest" };
        return new(new Command("verify", "Check a snapshot: its hash, its rows, its digest") { path }, async session =>
        {
            var manifest = await Snapshots.VerifyAsync(session.Required(path));
            if (session.Json)
            {
                WriteManifest(session, manifest);
                return 0;
            }

            session.Text.WriteLine($"{manifest.Snapshot} is whole: {string.Join(", ", manifest.Counts.Where(static pair => pair.Value > 0).Select(static pair => $"{pair.Value} {pair.Key}"))}, digest {manifest.Digest}");
            return 0;
        });
    }

    private static StoreLocation LocalDatabase(Session session) => session.Address is null
        ? session.Database.Store
        : throw new MemoryException(ErrorKind.MalformedRequest, "snapshots are taken and restored where the database is: give --db instead of --url");

    private static void WriteManifest(Session session, BackupManifest manifest) => session.Report.Json(writer =>
    {
        writer.WriteStartObject();
        writer.WriteString("snapshot", manifest.Snapshot);
        writer.WriteString("sha256", manifest.Sha256);
        writer.WriteNumber("bytes", manifest.Bytes);
        writer.WriteString("source_db", manifest.SourceDb);
        writer.WriteString("version", manifest.Version);
        writer.WriteString("created_at", manifest.CreatedAt);
        writer.WriteString("node_id", manifest.NodeId);
        writer.WriteString("log", manifest.Log);
        writer.WriteNumber("head_sequence", manifest.HeadSequence);
        writer.WriteStartObject("counts");
        foreach (var (kind, count) in manifest.Counts)
        {
            writer.WriteNumber(kind, count);
        }

        writer.WriteEndObject();
        writer.WriteString("digest", manifest.Digest);
        writer.WriteEndObject();
    });
}
