using OrleansMemory.Gate.Verdicts;

namespace OrleansMemory.Gate.Tests;

public sealed class AssertionTests
{
    private static readonly AssertionSpec AtLeastTen = new("a", "ten of them", ">=", 10, MinSample: 5);

    [Fact]
    public void What_was_not_observed_is_an_error_of_the_harness()
    {
        Assert.Equal(Verdict.HarnessError, Assertion.Judge(AtLeastTen, null).Verdict);
        Assert.Equal(Verdict.HarnessError, Assertion.Judge(AtLeastTen, new(null, 100)).Verdict);
        Assert.Equal(Verdict.HarnessError, Assertion.Judge(AtLeastTen, new("ten", 100)).Verdict);
        Assert.Equal(Verdict.HarnessError, Assertion.Judge(AtLeastTen with { Op = "~" }, new(10, 100)).Verdict);
        Assert.Equal(Verdict.HarnessError, Assertion.Judge(AtLeastTen with { Expected = "ten" }, new("ten", 100)).Verdict);
    }

    [Theory]
    [InlineData(10, 5, Verdict.Pass)]
    [InlineData(11, 5, Verdict.Pass)]
    [InlineData(9, 5, Verdict.Fail)]
    [InlineData(9, 1, Verdict.Fail)]
    [InlineData(10, 4, Verdict.HarnessError)]
    [InlineData(0, 0, Verdict.HarnessError)]
    public void A_number_needs_its_bound_and_its_sample(long actual, long sample, Verdict verdict) =>
        Assert.Equal(verdict, Assertion.Judge(AtLeastTen, new(actual, sample)).Verdict);

    [Theory]
    [InlineData("==", 3, Verdict.Fail)]
    [InlineData("==", 2, Verdict.Pass)]
    [InlineData("<=", 2, Verdict.Pass)]
    [InlineData("<=", 3, Verdict.Fail)]
    public void Numbers_compare(string op, long actual, Verdict verdict) => Assert.Equal(verdict, Assertion.Judge(new("a", "d", op, 2), new(actual)).Verdict);

    [Fact]
    public void Words_compare()
    {
        var spec = new AssertionSpec("a", "d", "==", "quorum_not_met");
        Assert.Equal(Verdict.Pass, Assertion.Judge(spec, new("quorum_not_met")).Verdict);
        Assert.Equal(Verdict.Fail, Assertion.Judge(spec, new("other")).Verdict);
        Assert.Equal(Verdict.HarnessError, Assertion.Judge(spec, new(503)).Verdict);
    }
}
