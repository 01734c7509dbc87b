using System.Runtime.InteropServices;
using System.Text.Json;
using OrleansMemory.Cli.Output;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Cli.Transfer;

/// <summary>Rows that wait in a temporary file until all of them were looked at; memory stays bounded.</summary>
/// <param name="member">What they are.</param>
internal sealed class HeldRows(string member) : IAsyncDisposable
{
    private readonly FileStream _file = TemporaryFile.Create();

    public long Count { get; private set; }

    public void Add(JsonElement row)
    {
        Begin();
        _file.Write(JsonMarshal.GetRawUtf8Value(row));
    }

    public void Add(Memory memory)
    {
        Begin();
        using var writer = Report.JsonWriter(_file);
        MemoryJson.WriteSorted(writer, memory);
    }

    /// <summary>All of them, in order; once.</summary>
    public async IAsyncEnumerable<JsonElement> ReadAsync()
    {
        if (Count == 0)
        {
            yield break;
        }

        _file.Write("]}"u8);
        _file.Position = 0;
        var reader = new ArrayElementReader(_file);
        while (await reader.ReadAsync() is { } element)
        {
            yield return element;
        }
    }

    public ValueTask DisposeAsync() => _file.DisposeAsync();

    private void Begin()
    {
        if (Count++ == 0)
        {
            _file.Write(System.Text.Encoding.UTF8.GetBytes($"{{\"{member}\":["));
        }
        else
        {
            _file.Write(","u8);
        }
    }
}
