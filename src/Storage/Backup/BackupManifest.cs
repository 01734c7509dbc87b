using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace OrleansMemory.Storage.Backup;

/// <summary>What a snapshot holds; kept beside it as JSON.</summary>
public sealed record BackupManifest
{
    /// <summary>The snapshot's file name.</summary>
    public required string Snapshot { get; init; }

    /// <summary>Of the file; 64 hexadecimal digits.</summary>
    public required string Sha256 { get; init; }

    public required long Bytes { get; init; }

    /// <summary>Where it was taken from; no secrets.</summary>
    public required string SourceDb { get; init; }

    /// <summary>Of the program that took it.</summary>
    public required string Version { get; init; }

    /// <summary>When it was begun: it holds every write that was answered before; RFC 3339.</summary>
    public required string CreatedAt { get; init; }

    public required string NodeId { get; init; }

    /// <summary>The log that the node wrote, and its last number in the snapshot.</summary>
    public required string Log { get; init; }

    public required long HeadSequence { get; init; }

    /// <summary>Rows of each kind.</summary>
    public required IReadOnlyDictionary<string, long> Counts { get; init; }

    /// <summary>Over all live replicated rows, as a node's cluster status gives it.</summary>
    public required string Digest { get; init; }
}

[JsonSerializable(typeof(BackupManifest))]
internal sealed partial class BackupJson : JsonSerializerContext
{
    /// <summary>For people too: what a browser would mind is written as it is.</summary>
    public static BackupJson Readable { get; } = new(new JsonSerializerOptions
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        WriteIndented = true,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    });
}
