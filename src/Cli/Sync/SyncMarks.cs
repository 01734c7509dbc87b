using System.Text.Json;
using System.Text.Json.Serialization;
using OrleansMemory.Core.Memories;
using OrleansMemory.Storage;

namespace OrleansMemory.Cli.Sync;

/// <summary>How far one peer was read, and how far it was told.</summary>
/// <param name="Pulled">The update time that all earlier rows of the peer were taken up to; RFC 3339; null: none were.</param>
/// <param name="Pushed">The place among the own changes; null: before the first.</param>
internal sealed record PeerMarks(string? Pulled = null, string? Pushed = null);

/// <summary>
/// The marks of all peers, kept in a file. Rows that are exchanged twice change nothing, so marks that are lost cost time alone.
/// </summary>
internal sealed class SyncMarks
{
    private readonly string? _path;
    private readonly Dictionary<string, PeerMarks> _marks;

    private SyncMarks(string? path, Dictionary<string, PeerMarks> marks)
    {
        _path = path;
        _marks = marks;
    }

    /// <summary>Beside a database file; of any other store in the user's data folder.</summary>
    public static SyncMarks Open(StoreLocation? store, Uri? address)
    {
        var data = Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData, Environment.SpecialFolderOption.DoNotVerify);
        var path = address is null && store?.Path is { } file ? file + ".sync"
            : data.Length > 0 ? Path.Combine(data, "orleans-memory", $"{MemoryIds.Derived("sync", (address?.AbsoluteUri ?? store?.ToString())!)}.sync")
            : null;
        try
        {
            return new(path, path is not null && File.Exists(path) ? JsonSerializer.Deserialize(File.ReadAllText(path), MarksJson.Default.DictionaryStringPeerMarks) ?? [] : []);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or JsonException)
        {
            return new(path, []);
        }
    }

    public PeerMarks Of(Uri peer)
    {
        lock (_marks)
        {
            return _marks.GetValueOrDefault(peer.AbsoluteUri) ?? new();
        }
    }

    public void Set(Uri peer, PeerMarks marks)
    {
        lock (_marks)
        {
            if (_marks.GetValueOrDefault(peer.AbsoluteUri) == marks)
            {
                return;
            }

            _marks[peer.AbsoluteUri] = marks;
            if (_path is null)
            {
                return;
            }

            // In one step, so that no crash leaves half a file.
            Directory.CreateDirectory(Path.GetDirectoryName(_path)!);
            File.WriteAllText(_path + ".new", JsonSerializer.Serialize(_marks, MarksJson.Default.DictionaryStringPeerMarks));
            File.Move(_path + ".new", _path, overwrite: true);
        }
    }
}

[JsonSerializable(typeof(Dictionary<string, PeerMarks>))]
internal sealed partial class MarksJson : JsonSerializerContext;
