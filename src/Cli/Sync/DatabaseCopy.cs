using OrleansMemory.Cli.Output;
using OrleansMemory.Core;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Cli.Sync;

/// <param name="Taken">Memories that the target took, or held already.</param>
/// <param name="Errors"><c>id: why</c> for each row that was refused.</param>
internal sealed record CopySummary(long Taken, IReadOnlyList<string> Errors);

/// <summary>What a copy would do.</summary>
internal sealed record Comparison(long New = 0, long Update = 0, long Noop = 0, long Links = 0);

/// <summary>All memories and links of one service into another.</summary>
/// <param name="restamps">The caller takes the place of the authors that rows claim.</param>
/// <param name="isMerge">Of each name the later change wins; else that of the source.</param>
internal sealed class DatabaseCopy(IDomainService source, IDomainService target, string agentId, bool restamps, bool isMerge, ProgressLine progress)
{
    private const int BatchRows = 500;

    private readonly Dictionary<string, string> _renamed = new(StringComparer.Ordinal);
    private readonly List<string> _errors = [];
    private long _taken;

    public async Task<CopySummary> RunAsync()
    {
        var total = (await source.StatisticsAsync()).Total;
        var batch = new List<Memory>(BatchRows);
        await foreach (var memory in source.ExportMemoriesAsync())
        {
            batch.Add(Restamped(memory));
            if (batch.Count == BatchRows)
            {
                await SendAsync(batch);
                progress.Show(_taken + _errors.Count, total);
            }
        }

        await SendAsync(batch);
        await CopyLinksAsync();
        return new(_taken, _errors);
    }

    /// <summary>As <see cref="RunAsync"/> would find it, by name. Holds the names of the target.</summary>
    public async Task<Comparison> CompareAsync()
    {
        var (fresh, update, noop, links) = (0L, 0L, 0L, 0L);
        var names = new Dictionary<(string, string), Timestamp>();
        await foreach (var memory in target.ExportMemoriesAsync())
        {
            names[(memory.Namespace, memory.Title)] = memory.UpdatedAt;
        }

        await foreach (var memory in source.ExportMemoriesAsync())
        {
            if (!names.TryGetValue((memory.Namespace, memory.Title), out var held))
            {
                fresh++;
            }
            else if (memory.UpdatedAt == held || (isMerge && memory.UpdatedAt < held))
            {
                noop++;
            }
            else
            {
                update++;
            }
        }

        await foreach (var _ in source.ExportLinksAsync())
        {
            links++;
        }

        return new(fresh, update, noop, links);
    }

    private Memory Restamped(Memory memory)
    {
        if (!restamps || memory.Metadata.Text("agent_id") is not { } original || original == agentId)
        {
            return restamps ? memory with { Metadata = memory.Metadata.With("agent_id", agentId) } : memory;
        }

        return memory with { Metadata = memory.Metadata.With("agent_id", agentId).With("imported_from_agent_id", original) };
    }

    private async Task SendAsync(List<Memory> batch)
    {
        if (batch.Count == 0)
        {
            return;
        }

        var context = new WriteContext(agentId);
        if (isMerge)
        {
            var outcomes = await target.SyncAsync(batch, context);
            for (var row = 0; row < batch.Count; row++)
            {
                Count(batch[row].Id, outcomes[row].Error, outcomes[row].Changed);
            }
        }
        else
        {
            var outcomes = await target.ImportAsync(batch, [], new ImportOptions(TrustSource: true), context);
            for (var row = 0; row < batch.Count; row++)
            {
                Count(batch[row].Id, outcomes[row].Error, counts: true);
                if (outcomes[row].Receipt is { } receipt && receipt.Memory.Id != batch[row].Id)
                {
                    _renamed[batch[row].Id] = receipt.Memory.Id;
                }
            }
        }

        batch.Clear();
    }

    private void Count(string id, MemoryException? error, bool counts)
    {
        if (error is not null)
        {
            _errors.Add($"{id}: {error.Message}");
        }
        else if (counts)
        {
            _taken++;
        }
    }

    /// <summary>A link whose ends the target does not have is passed over.</summary>
    private async Task CopyLinksAsync()
    {
        var batch = new List<Link>(BatchRows);
        await foreach (var link in source.ExportLinksAsync())
        {
            batch.Add(link with { SourceId = _renamed.GetValueOrDefault(link.SourceId, link.SourceId), TargetId = _renamed.GetValueOrDefault(link.TargetId, link.TargetId) });
            if (batch.Count == BatchRows)
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
            await target.ImportAsync([], batch, new ImportOptions(TrustSource: true), new WriteContext(agentId));
            batch.Clear();
        }
    }
}
