using OrleansMemory.Simulation.Checks;

namespace OrleansMemory.Simulation.Tests;

/// <summary>The checkers tell right histories from wrong ones.</summary>
public sealed class CheckerTests
{
    private static TimeSpan At(double seconds) => TimeSpan.FromSeconds(seconds);

    private static HistoryStep<int> Write(double began, double? ended, int value) =>
        new(At(began), ended is { } end ? At(end) : null, _ => new(IsPossible: true, value), $"write {value}");

    private static HistoryStep<int> Read(double began, double ended, int value) =>
        new(At(began), At(ended), state => new(state == value, state), $"read {value}");

    [Fact]
    public void Reads_between_and_during_writes_are_linearizable() =>
        Assert.Equal(Linearizability.Verdict.Linearizable, Linearizability.Check<int>(
            [Write(0, 1, 1), Read(2, 3, 1), Write(4, 8, 2), Read(5, 6, 1), Read(6, 7, 2), Read(9, 10, 2)], 0));

    [Fact]
    public void A_read_of_an_overwritten_value_is_not() =>
        Assert.Equal(Linearizability.Verdict.NotLinearizable, Linearizability.Check<int>([Write(0, 1, 1), Write(2, 3, 2), Read(4, 5, 1)], 0));

    [Fact]
    public void Two_reads_that_see_two_writes_in_opposite_order_are_not() =>
        Assert.Equal(Linearizability.Verdict.NotLinearizable, Linearizability.Check<int>(
            [Write(0, 10, 1), Write(0, 10, 2), Read(1, 2, 1), Read(3, 4, 2), Read(5, 6, 1)], 0));

    [Fact]
    public void A_write_without_an_answer_may_happen_late_or_never()
    {
        Assert.Equal(Linearizability.Verdict.Linearizable, Linearizability.Check<int>([Write(0, null, 1), Read(1, 2, 0), Read(3, 4, 1)], 0));
        Assert.Equal(Linearizability.Verdict.Linearizable, Linearizability.Check<int>([Write(0, null, 1), Read(1, 2, 0), Read(3, 4, 0)], 0));
        Assert.Equal(Linearizability.Verdict.NotLinearizable, Linearizability.Check<int>([Write(0, null, 1), Read(1, 2, 1), Read(3, 4, 0)], 0));
    }

    [Fact]
    public void Random_histories_of_a_register_are_linearizable_until_one_read_is_falsified()
    {
        for (var seed = 0; seed < 200; seed++)
        {
            var random = new Random(seed);
            var history = new List<HistoryStep<int>>();
            var value = 0;
            for (var step = 0; step < 40; step++)
            {
                // Each takes effect at a whole second, somewhere within its time.
                var (began, ended) = (step - random.NextDouble() * 3, step + random.NextDouble() * 3);
                if (random.Next(2) == 0)
                {
                    value = step + 1;
                    history.Add(Write(began, ended, value));
                }
                else
                {
                    history.Add(Read(began, ended, value));
                }
            }

            Assert.Equal(Linearizability.Verdict.Linearizable, Linearizability.Check(history, 0));
            history.Add(Read(100, 101, -1));
            Assert.Equal(Linearizability.Verdict.NotLinearizable, Linearizability.Check(history, 0));
        }
    }

    [Fact]
    public void Elements_of_a_set_are_stable_stale_lost_or_never_read()
    {
        var set = new SetFull();
        set.Added("stable", At(0));
        set.Added("stale", At(0));
        set.Added("lost", At(0));
        set.Read(At(1), new HashSet<string> { "stable", "lost" });
        set.Read(At(2), new HashSet<string> { "stable", "stale" });
        set.Added("never", At(3));
        Assert.Equal(new(Attempted: 4, Stable: 2, Lost: 1, NeverRead: 1, Stale: 1), set.Result());
    }
}
