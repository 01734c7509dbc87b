using System.Runtime.InteropServices;
using System.Text.Json;
using OrleansMemory.Cli.Output;
using OrleansMemory.Core;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Cli.Transfer;

/// <summary>What an import did.</summary>
/// <param name="Errors"><c>id: why</c> for each row that was refused.</param>
/// <param name="Restamped">Rows whose claimed author was replaced by the caller.</param>
internal sealed record ImportSummary(long Imported, long Restamped, IReadOnlyList<string> Errors);

/// <summary>
/// Reads an export of any length in bounded memory, and sends it in batches once all of it was read: a document that is malformed
/// anywhere imports nothing. A row that breaks a rule is refused alone.
/// </summary>
internal sealed class Importer(IMemoryService service, string agentId, bool trustSource, Report report)
{
    /// <summary>Below the limit of a request on a node, with room for its frame.</summary>
    private const int BatchBytes = 1_500_000;

    private readonly List<Memory> _batch = [];
    private readonly List<string> _errors = [];
    private readonly Dictionary<string, string> _renamed = [];
    private int _batchBytes;
    private long _imported;
    private long _restamped;

    /// <exception cref="MemoryException">The document is malformed or has no <c>memories</c>; nothing is stored.</exception>
    public async Task<ImportSummary> RunAsync(Stream input)
    {
        await using var memories = new HeldRows("memories");
        await using var links = new HeldRows("links");
        var reader = new ArrayElementReader(input);
        using (var progress = new ProgressLine(report, "reading"))
        {
            try
            {
                while (await reader.ReadAsync() is { } element)
                {
                    if (reader.Member == "memories")
                    {
                        Hold(memories, element);
                        progress.Show(memories.Count, 0);
                    }
                    else if (reader.Member == "links")
                    {
                        links.Add(element);
                    }
                }
            }
            catch (JsonException exception)
            {
                throw new MemoryException(ErrorKind.MalformedRequest, "malformed JSON; nothing was imported", exception);
            }
        }

        return reader.Arrays.Contains("memories")
            ? await SendAsync(memories, links)
            : throw new MemoryException(ErrorKind.MissingField, "malformed JSON: missing array `memories`; nothing was imported");
    }

    /// <param name="memories">Each keeps the rules.</param>
    public async Task<ImportSummary> SendAsync(HeldRows memories, HeldRows? links)
    {
        using var progress = new ProgressLine(report, "importing");
        await foreach (var element in memories.ReadAsync())
        {
            var bytes = JsonMarshal.GetRawUtf8Value(element).Length;
            if (_batch.Count == MemoryLimits.BatchRows || _batchBytes + bytes > BatchBytes)
            {
                await SendAsync();
                progress.Show(_imported + _errors.Count, memories.Count);
            }

            _batch.Add(Restamp(WireReader.Memory(element)));
            _batchBytes += bytes;
        }

        await SendAsync();
        if (links is not null)
        {
            await SendLinksAsync(links);
        }

        return new(_imported, _restamped, _errors);
    }

    private void Hold(HeldRows memories, JsonElement element)
    {
        try
        {
            MemoryRules.Check(Restamp(WireReader.Memory(element), counts: false));
        }
        catch (Exception exception) when (exception is MemoryException or InvalidOperationException)
        {
            _errors.Add($"{WireReader.Shown(element, "id") ?? "?"}: {exception.Message}");
            return;
        }

        memories.Add(element);
    }

    private Memory Restamp(Memory memory, bool counts = true)
    {
        if (trustSource)
        {
            return memory;
        }

        var original = memory.Metadata.Text("agent_id");
        if (original == agentId)
        {
            return memory;
        }

        var metadata = memory.Metadata.With("agent_id", agentId);
        if (original is not null)
        {
            _restamped += counts ? 1 : 0;
            metadata = metadata.With("imported_from_agent_id", original);
        }

        return memory with { Metadata = metadata };
    }

    private async Task SendAsync()
    {
        if (_batch.Count == 0)
        {
            return;
        }

        // Whose name the rows carry is settled above, alike for a local database and for a node.
        var outcomes = await service.ImportAsync(_batch, [], new ImportOptions(TrustSource: true), new WriteContext(agentId));
        for (var row = 0; row < _batch.Count; row++)
        {
            var id = _batch[row].Id;
            if (outcomes[row] is { Error: { } error })
            {
                _errors.Add($"{id}: {error.Message}");
                continue;
            }

            _imported++;
            if (outcomes[row].Receipt is { } receipt && receipt.Memory.Id != id)
            {
                _renamed[id] = receipt.Memory.Id;
            }
        }

        _batch.Clear();
        _batchBytes = 0;
    }

    /// <summary>A malformed link is passed over, as is one whose ends did not arrive.</summary>
    private async Task SendLinksAsync(HeldRows links)
    {
        var batch = new List<Link>(MemoryLimits.BatchRows);
        await foreach (var element in links.ReadAsync())
        {
            if (TryRead(element) is { } link)
            {
                batch.Add(link);
            }

            if (batch.Count == MemoryLimits.BatchRows)
            {
                await SendLinksAsync(batch);
            }
        }

        await SendLinksAsync(batch);
    }

    private async Task SendLinksAsync(List<Link> batch)
    {
        if (batch.Count > 0)
        {
            await service.ImportAsync([], batch, new ImportOptions(TrustSource: true), new WriteContext(agentId));
            batch.Clear();
        }
    }

    private Link? TryRead(JsonElement element)
    {
        try
        {
            var link = WireReader.Link(element);
            return link with
            {
                SourceId = _renamed.GetValueOrDefault(link.SourceId, link.SourceId),
                TargetId = _renamed.GetValueOrDefault(link.TargetId, link.TargetId),
                Relation = MemoryRules.Relation(link.Relation),
            };
        }
        catch (Exception exception) when (exception is MemoryException or InvalidOperationException)
        {
            return null;
        }
    }
}
