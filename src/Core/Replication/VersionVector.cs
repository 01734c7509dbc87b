using System.Globalization;

namespace OrleansMemory.Core.Replication;

/// <summary>
/// The sequence numbers of one log that a store holds: all up to <see cref="Through"/>, and ranges above a gap. Immutable.
/// </summary>
public sealed record AppliedSet(long Through, IReadOnlyList<(long First, long Last)> Above)
{
    public static AppliedSet None { get; } = new(0, []);

    /// <summary>How many numbers are in the set.</summary>
    public long Count => Through + Above.Sum(static range => range.Last - range.First + 1);

    public bool Contains(long sequence) =>
        sequence <= Through || Above.Any(range => sequence >= range.First && sequence <= range.Last);

    /// <summary>True when every number from <paramref name="first"/> to <paramref name="last"/> is in the set.</summary>
    public bool Covers(long first, long last) =>
        last <= Through || Above.Any(range => Math.Max(first, Through + 1) >= range.First && last <= range.Last);

    /// <summary>True when every number of the other is in the set.</summary>
    public bool Covers(AppliedSet other) => With(other) is var both && both.Through == Through && both.Above.SequenceEqual(Above);

    /// <summary>What is in the set, ascending, with a gap between every two.</summary>
    public IEnumerable<(long First, long Last)> Ranges => Through > 0 ? Above.Prepend((1, Through)) : Above;

    /// <summary>The ranges up to <paramref name="last"/> that are not in the set, ascending.</summary>
    public IEnumerable<(long First, long Last)> Missing(long last)
    {
        var next = Through + 1;
        foreach (var range in Above)
        {
            if (range.First > last)
            {
                break;
            }

            if (range.First > next)
            {
                yield return (next, range.First - 1);
            }

            next = Math.Max(next, range.Last + 1);
        }

        if (next <= last)
        {
            yield return (next, last);
        }
    }

    /// <summary>This set and the numbers from <paramref name="first"/> to <paramref name="last"/>.</summary>
    public AppliedSet With(long first, long last)
    {
        if (last <= Through)
        {
            return this;
        }

        if (first <= Through + 1 && Above.Count == 0)
        {
            return new(last, []);
        }

        var merged = new List<(long First, long Last)>();
        var through = Through;
        foreach (var range in Above.Append((First: first, Last: last)).OrderBy(static range => range.First))
        {
            if (range.First <= through + 1)
            {
                through = Math.Max(through, range.Last);
            }
            else if (merged.Count > 0 && range.First <= merged[^1].Last + 1)
            {
                merged[^1] = (merged[^1].First, Math.Max(merged[^1].Last, range.Last));
            }
            else
            {
                merged.Add(range);
            }
        }

        return new(through, merged);
    }

    public AppliedSet With(AppliedSet other) =>
        other.Above.Aggregate(With(1, other.Through), static (set, range) => set.With(range.First, range.Last));

    /// <summary>The ranges as <c>5-9,12-12</c>.</summary>
    public string FormatAbove() =>
        string.Join(',', Above.Select(static range => string.Create(CultureInfo.InvariantCulture, $"{range.First}-{range.Last}")));

    public static AppliedSet Parse(long through, string above) => new(through, above.Length == 0 ? [] :
        [.. above.Split(',').Select(static range =>
        {
            var ends = range.Split('-');
            return (long.Parse(ends[0], CultureInfo.InvariantCulture), long.Parse(ends[1], CultureInfo.InvariantCulture));
        })]);
}
