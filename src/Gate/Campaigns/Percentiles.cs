namespace OrleansMemory.Gate.Campaigns;

/// <summary>Of times in milliseconds, by nearest rank.</summary>
public sealed record Percentiles(int Count, decimal P50, decimal P95, decimal P99, decimal Max)
{
    /// <summary>Null of nothing.</summary>
    public static Percentiles? Of(IEnumerable<decimal> values)
    {
        var sorted = values.Order().ToList();
        return sorted.Count == 0 ? null : new(sorted.Count, At(sorted, 50), At(sorted, 95), At(sorted, 99), sorted[^1]);
    }

    private static decimal At(List<decimal> sorted, int percent) => sorted[(((sorted.Count * percent) + 99) / 100) - 1];
}
