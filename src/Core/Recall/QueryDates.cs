using System.Globalization;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Core.Recall;

/// <summary>
/// The days that a query names, in UTC: "8 May 2023", "May 8th", "2023-05-08", "May 2023", "in May" (of any year), "today", "yesterday",
/// "last week", "this month" and the like. A memory fits when it was created in them, or within a week after: people write of things
/// once they have happened.
/// </summary>
internal sealed class QueryDates
{
    private static readonly TimeSpan Grace = TimeSpan.FromDays(7);

    private static readonly string[] Months =
        ["january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december"];

    private readonly List<Span> _spans = [];

    private QueryDates()
    {
    }

    /// <summary>Null when the words name none.</summary>
    public static QueryDates? Of(IReadOnlyList<string> words, Timestamp now)
    {
        var dates = new QueryDates();
        var today = now.ToDateTimeOffset().UtcDateTime.Date;
        for (var index = 0; index < words.Count; index++)
        {
            if ((IsoDate(words[index]) ?? Relative(words, index, today) ?? Calendar(words, index)) is { } span)
            {
                dates._spans.Add(span);
            }
        }

        return dates._spans.Count > 0 ? dates : null;
    }

    public bool Fit(Timestamp created)
    {
        var at = created.ToDateTimeOffset().UtcDateTime;
        return _spans.Exists(span => span.Holds(at));
    }

    private static Span? IsoDate(string word) =>
        DateTime.TryParseExact(word, "yyyy-MM-dd", CultureInfo.InvariantCulture, DateTimeStyles.None, out var day) ? new(day, 1)
        : DateTime.TryParseExact(word, "yyyy-MM", CultureInfo.InvariantCulture, DateTimeStyles.None, out var month) ? OfMonth(month.Year, month.Month)
        : null;

    private static Span? Relative(IReadOnlyList<string> words, int index, DateTime today)
    {
        switch (Lower(words, index))
        {
            case "today":
                return new(today, 1);
            case "yesterday":
                return new(today.AddDays(-1), 1);
        }

        var back = Lower(words, index - 1) switch
        {
            "this" => 0,
            "last" or "past" or "previous" => 1,
            _ => -1,
        };
        if (back < 0)
        {
            return null;
        }

        switch (Lower(words, index))
        {
            case "week":
                return new(today.AddDays(-(((int)today.DayOfWeek + 6) % 7) - (7 * back)), 7);
            case "month":
                var first = new DateTime(today.Year, today.Month, 1).AddMonths(-back);
                return OfMonth(first.Year, first.Month);
            case "year":
                return new(new DateTime(today.Year - back, 1, 1), 365);
            default:
                return null;
        }
    }

    /// <summary>A month with what stands beside it.</summary>
    private static Span? Calendar(IReadOnlyList<string> words, int index)
    {
        // "mid-August" too.
        var name = Lower(words, index);
        var month = Array.IndexOf(Months, name[(name.LastIndexOf('-') + 1)..]) + 1;
        if (month == 0)
        {
            return null;
        }

        var before = Lower(words, index - 1) == "of" ? index - 2 : index - 1;
        if (Day(words, before) is { } dayBefore)
        {
            return OfDay(Year(words, index + 1), month, dayBefore);
        }

        if (Day(words, index + 1) is { } dayAfter)
        {
            return OfDay(Year(words, index + 2), month, dayAfter);
        }

        if (Year(words, index + 1) is { } year)
        {
            return OfMonth(year, month);
        }

        // Both are other words too.
        var isPlain = name is not ("may" or "march") || Lower(words, index - 1) is "in" or "during" or "since" or "until" or "by" or "of" or "last" or "this" or "early" or "late";
        return isPlain ? new(new DateTime(Span.AnyYear, month, 1), DateTime.DaysInMonth(Span.AnyYear, month)) : null;
    }

    private static Span? OfDay(int? year, int month, int day) =>
        day <= DateTime.DaysInMonth(year ?? Span.AnyYear, month) ? new(new DateTime(year ?? Span.AnyYear, month, day), 1) : null;

    private static Span OfMonth(int year, int month) => new(new DateTime(year, month, 1), DateTime.DaysInMonth(year, month));

    /// <summary>"8" or "8th".</summary>
    private static int? Day(IReadOnlyList<string> words, int index)
    {
        var word = Lower(words, index).AsSpan();
        if (word.Length > 2 && word[^2..] is "st" or "nd" or "rd" or "th")
        {
            word = word[..^2];
        }

        return word.Length <= 2 && int.TryParse(word, NumberStyles.None, CultureInfo.InvariantCulture, out var day) && day is >= 1 and <= 31 ? day : null;
    }

    private static int? Year(IReadOnlyList<string> words, int index) =>
        Lower(words, index) is { Length: 4 } word && int.TryParse(word, NumberStyles.None, CultureInfo.InvariantCulture, out var year) && year is >= 1678 and <= 2261 ? year : null;

    private static string Lower(IReadOnlyList<string> words, int index) => index >= 0 && index < words.Count ? words[index].ToLowerInvariant() : "";

    /// <param name="Start">Of the year <see cref="AnyYear"/>: in every year.</param>
    private readonly record struct Span(DateTime Start, int Days)
    {
        /// <summary>A leap year that no memory is of.</summary>
        public const int AnyYear = 4;

        public bool Holds(DateTime at)
        {
            if (Start.Year != AnyYear)
            {
                return Within(at, Start);
            }

            // The week after December lies in the next year.
            return Within(at, In(at.Year)) || Within(at, In(at.Year - 1));
        }

        private DateTime In(int year) => new(year, Start.Month, Math.Min(Start.Day, DateTime.DaysInMonth(year, Start.Month)));

        private bool Within(DateTime at, DateTime start) => at >= start && at < start.AddDays(Days) + Grace;
    }
}
