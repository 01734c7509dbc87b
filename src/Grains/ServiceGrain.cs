using System.Runtime.CompilerServices;
using Orleans.Concurrency;
using OrleansMemory.Core;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Grains;

/// <inheritdoc cref="IServiceGrain"/>
[Reentrant, NodePlacement, CollectionAgeLimit(AlwaysActive = true), GrainType("service")]
public sealed class ServiceGrain(MemoryNode node) : NodeGrain(node), IServiceGrain
{
    /// <summary>Rows of an export in one answer: the largest of them fit.</summary>
    private const int ExportRows = 100;

    public async Task<ServiceAnswer> AskAsync(ServiceQuestion question)
    {
        try
        {
            var asked = WireJson.DecodeQuestion(question.Question);

            // Off the grain's own thread: it is a door, and one question must not wait for another.
            return new(await Task.Run(async () =>
            {
                await HoldAsync(asked);
                return await asked.AnswerAsync(As(asked));
            }));
        }
        catch (MemoryException exception)
        {
            return new([], WriteAnswer.Of(exception).ToMessage());
        }
    }

    public IAsyncEnumerable<ServiceAnswer> ExportMemoriesAsync(ServiceQuestion question) => ExportAsync(question, static node => node.ExportMemoriesAsync());

    public IAsyncEnumerable<ServiceAnswer> ExportLinksAsync(ServiceQuestion question) => ExportAsync(question, static node => node.ExportLinksAsync());

    private async IAsyncEnumerable<ServiceAnswer> ExportAsync<T>(
        ServiceQuestion question, Func<INodeService, IAsyncEnumerable<T>> export, [EnumeratorCancellation] CancellationToken cancellation = default)
    {
        var asked = WireJson.DecodeQuestion(question.Question);
        await HoldAsync(asked);
        var page = new List<T>(ExportRows);
        await foreach (var row in export(As(asked)).WithCancellation(cancellation))
        {
            page.Add(row);
            if (page.Count == ExportRows)
            {
                yield return new(WireJson.EncodeAnswer(page));
                page.Clear();
            }
        }

        yield return new(WireJson.EncodeAnswer(page));
    }

    /// <summary>The node as the one who asks has it.</summary>
    private INodeService As(Question asked) => asked.Principal is { } principal ? Node.As(principal) : Node;

    private async Task HoldAsync(Question asked)
    {
        foreach (var seen in asked.Seen ?? [])
        {
            await Node.WaitForAsync(seen);
        }
    }
}
