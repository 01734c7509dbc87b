using System.Text;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Core.Recall;

/// <summary>The estimate of what a memory costs its reader in tokens: (bytes of title + bytes of content) / 4, rounded down.</summary>
public static class TokenBudget
{
    public static long Cost(Memory memory) => (Encoding.UTF8.GetByteCount(memory.Title) + (long)Encoding.UTF8.GetByteCount(memory.Content)) / 4;

    /// <summary>The memories before the first that does not fit, and the sum of their costs. Without a budget: all.</summary>
    public static (IReadOnlyList<RankedMemory> Memories, long TokensUsed) Fit(IReadOnlyList<RankedMemory> ranked, long? budget)
    {
        long used = 0;
        for (var index = 0; index < ranked.Count; index++)
        {
            var cost = Cost(ranked[index].Memory);
            if (used + cost > budget)
            {
                return ([.. ranked.Take(index)], used);
            }

            used += cost;
        }

        return (ranked, used);
    }
}
