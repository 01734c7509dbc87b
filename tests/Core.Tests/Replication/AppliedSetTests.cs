using FsCheck;
using FsCheck.Fluent;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Core.Tests.Replication;

/// <summary>The numbers that a store holds of a log, against a set of numbers.</summary>
public sealed class AppliedSetTests
{
    private const int Most = 30;

    [Fact]
    public void A_set_of_ranges_is_a_set() => Check.One(Config.QuickThrowOnFailure.WithMaxTest(100), Prop.ForAll<int>(static seed =>
    {
        var random = new Random(seed);
        var (set, numbers) = Draw(random);
        Same(numbers, set);
        var (other, others) = Draw(random);
        Same([.. numbers, .. others], set.With(other));
        Same(numbers, AppliedSet.Parse(set.Through, set.FormatAbove()));
    }));

    [Fact]
    public void Ranges_are_written_as_operators_read_them()
    {
        var set = AppliedSet.None.With(1, 3).With(12, 12).With(5, 9);
        Assert.Equal(3, set.Through);
        Assert.Equal("5-9,12-12", set.FormatAbove());
        Assert.Equal("", AppliedSet.None.FormatAbove());
        Assert.Same(set, set.With(2, 3));
    }

    private static (AppliedSet Set, HashSet<long> Numbers) Draw(Random random)
    {
        var (set, numbers) = (AppliedSet.None, new HashSet<long>());
        for (var ranges = random.Next(6); ranges > 0; ranges--)
        {
            var first = random.Next(1, Most);
            var last = Math.Min(Most, first + random.Next(6));
            set = set.With(first, last);
            numbers.UnionWith(Enumerable.Range(first, last - first + 1).Select(static number => (long)number));
        }

        return (set, numbers);
    }

    private static void Same(HashSet<long> numbers, AppliedSet set)
    {
        Assert.Equal(numbers.Count, set.Count);
        Assert.Equal(numbers.Order(), Enumerable.Range(1, Most + 1).Select(static number => (long)number).Where(set.Contains));
        for (long first = 1; first <= Most; first++)
        {
            var missing = Enumerable.Range(1, (int)first).Select(static number => (long)number).Where(number => !numbers.Contains(number));
            Assert.Equal(missing, set.Missing(first).SelectMany(static range => Enumerable.Range((int)range.First, (int)(range.Last - range.First + 1))).Select(static number => (long)number).Where(number => number <= first));
            for (var last = first; last <= Most + 1; last++)
            {
                Assert.Equal(Enumerable.Range((int)first, (int)(last - first + 1)).All(number => numbers.Contains(number)), set.Covers(first, last));
            }
        }

        // As few ranges as can be.
        Assert.All(set.Above.Zip(set.Above.Skip(1)), static pair => Assert.True(pair.First.Last + 1 < pair.Second.First));
        Assert.All(set.Above.Take(1), range => Assert.True(range.First > set.Through + 1));
    }
}
