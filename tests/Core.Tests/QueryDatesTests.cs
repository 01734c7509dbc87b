using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Recall;

namespace OrleansMemory.Core.Tests;

public sealed class QueryDatesTests
{
    /// <summary>A Wednesday.</summary>
    private static readonly Timestamp Now = At("2024-05-15");

    [Theory]
    [InlineData("what happened on 8 May 2023", "2023-05-08", "2023-05-07")]
    [InlineData("what happened on 8 May 2023", "2023-05-15", "2023-05-16")]
    [InlineData("May 8th 2023 please", "2023-05-08", "2023-04-30")]
    [InlineData("the 8th of May 2023", "2023-05-08", "2022-05-08")]
    [InlineData("2023-05-08", "2023-05-08", "2023-05-01")]
    [InlineData("during 2023-05", "2023-05-31", "2023-06-08")]
    [InlineData("which trip in May 2023", "2023-05-01", "2023-04-30")]
    [InlineData("which trip in December", "2020-12-24", "2020-11-30")]
    [InlineData("which trip in December", "2021-01-05", "2021-01-09")]
    [InlineData("mid-August 2023 class", "2023-08-20", "2023-07-20")]
    [InlineData("what did we say yesterday", "2024-05-14", "2024-05-13")]
    [InlineData("what did we say today", "2024-05-15", "2024-05-14")]
    [InlineData("decisions of last week", "2024-05-06", "2024-05-05")]
    [InlineData("decisions of this month", "2024-05-01", "2024-04-30")]
    [InlineData("decisions of last year", "2023-01-01", "2022-12-31")]
    [InlineData("on 29 February", "2023-02-28", "2023-02-27")]
    public void Days_are_taken_from_words(string query, string fits, string fitsNot)
    {
        var dates = QueryDates.Of(TextQuery.Parse(query), Now);
        Assert.NotNull(dates);
        Assert.True(dates.Fit(At(fits)), $"{fits} fits");
        Assert.False(dates.Fit(At(fitsNot)), $"{fitsNot} does not fit");
    }

    [Theory]
    [InlineData("what may we march for")]
    [InlineData("the last one")]
    [InlineData("42 things")]
    [InlineData("31 February 2023")]
    [InlineData("2023-13-01")]
    public void Other_words_are_no_days(string query) => Assert.Null(QueryDates.Of(TextQuery.Parse(query), Now));

    private static Timestamp At(string day) => Timestamp.TryParse($"{day}T12:00:00Z", out var at) ? at : throw new FormatException(day);
}
