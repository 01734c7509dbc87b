using System.Diagnostics;
using OrleansMemory.Core;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Recall;

namespace OrleansMemory.Cli.Bench;

/// <summary>
/// How much of the evidence of LoCoMo's questions recall finds. One turn is one memory, titled "speaker session N", with the
/// session's time; one conversation is one namespace. Each question is recalled as it is put, in its namespace, by the service itself.
/// </summary>
internal sealed class LocomoBench(IMemoryService service, IReadOnlyList<LocomoConversation> conversations)
{
    private const string Root = "locomo";

    /// <exception cref="MemoryException">The store took or answered something wrongly.</exception>
    public async Task<LocomoReport> RunAsync(Machine machine, string store)
    {
        var memories = 0;
        foreach (var conversation in conversations)
        {
            foreach (var batch in conversation.Turns.Chunk(MemoryLimits.BatchRows))
            {
                var outcomes = await service.ImportAsync([.. batch.Select(turn => MemoryOf(conversation, turn))], [], new ImportOptions(), new WriteContext());
                if (outcomes.FirstOrDefault(static outcome => outcome.Error is not null)?.Error is { } error)
                {
                    throw error;
                }

                memories += batch.Length;
            }
        }

        var ours = new RecallTally();
        var plain = new RecallTally();
        var latencies = new List<double>();
        string? mode = null;
        foreach (var conversation in conversations)
        {
            var reference = new PlainBm25();
            foreach (var turn in conversation.Turns)
            {
                reference.Add(turn.Id, TextQuery.WithoutZeroWidth($"{TitleOf(turn)} {turn.Text}"));
            }

            foreach (var question in conversation.Questions)
            {
                var began = Stopwatch.GetTimestamp();
                var answer = await service.RecallAsync(new()
                {
                    Context = question.Text,
                    Namespace = NamespaceOf(conversation),
                    Limit = RecallTally.Depth,
                    CountAccess = false,
                });
                latencies.Add(Stopwatch.GetElapsedTime(began).TotalMilliseconds);
                if (!answer.IsComplete)
                {
                    throw new MemoryException(ErrorKind.NotYet, "the full-text index is still being built: nothing can be measured");
                }

                mode = answer.Mode;
                ours.Add(conversation.Name, question, [.. answer.Memories.Select(static ranked => ranked.Memory.Id[(ranked.Memory.Id.IndexOf('/', StringComparison.Ordinal) + 1)..])]);
                plain.Add(conversation.Name, question, reference.Rank(question.Text, RecallTally.Depth));
            }
        }

        latencies.Sort();
        return new(conversations.Count, memories, ours, plain, latencies, mode ?? "", store, machine);
    }

    private static string NamespaceOf(LocomoConversation conversation) => $"{Root}/{conversation.Name}";

    /// <summary>
    /// Titles are unique within a namespace: the number of the turn follows in bits without width, which the index and the reference take out, so that
    /// no question finds a turn by it.
    /// </summary>
    private static string TitleOf(LocomoTurn turn) =>
        $"{turn.Speaker} session {turn.Session}{string.Concat(Convert.ToString(turn.Number, toBase: 2).Select(static bit => bit == '0' ? '\u200B' : '\u200C'))}";

    private static Memory MemoryOf(LocomoConversation conversation, LocomoTurn turn) => new()
    {
        Id = $"{conversation.Name}/{turn.Id}",
        Tier = Tier.Long,
        Namespace = NamespaceOf(conversation),
        Title = TitleOf(turn),
        Content = turn.Text,
        Source = "import",
        CreatedAt = turn.At,
        UpdatedAt = turn.At,
    };
}
