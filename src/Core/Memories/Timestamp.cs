using System.Globalization;

namespace OrleansMemory.Core.Memories;

/// <summary>
/// An instant: nanoseconds since 1970-01-01T00:00:00Z, between the years 1678 and 2261.
/// Compared as a number, so the notation that a client used (Z, an offset, a fraction) never changes an order.
/// </summary>
public readonly record struct Timestamp(long Nanoseconds) : IComparable<Timestamp>
{
    private const long NanosecondsPerSecond = 1_000_000_000;
    private const int NanosecondsPerTick = 100;

    /// <summary>The instant in whole microseconds, so that it prints short.</summary>
    public static Timestamp Now(TimeProvider time) => FromDateTimeOffset(time.GetUtcNow()).TruncateToMicroseconds();

    public static Timestamp FromDateTimeOffset(DateTimeOffset instant) =>
        new((instant.UtcTicks - DateTime.UnixEpoch.Ticks) * NanosecondsPerTick);

    public static Timestamp FromUnixMilliseconds(long milliseconds) => new(milliseconds * 1_000_000);

    public DateTimeOffset ToDateTimeOffset() => new(DateTime.UnixEpoch.Ticks + FloorDiv(Nanoseconds, NanosecondsPerTick), TimeSpan.Zero);

    /// <summary>Saturates at the ends of the range.</summary>
    public Timestamp AddSeconds(long seconds)
    {
        var sum = Nanoseconds + ((Int128)seconds * NanosecondsPerSecond);
        return new((long)Int128.Clamp(sum, long.MinValue, long.MaxValue));
    }

    public double SecondsSince(Timestamp earlier) => ((double)Nanoseconds - earlier.Nanoseconds) / NanosecondsPerSecond;

    public int CompareTo(Timestamp other) => Nanoseconds.CompareTo(other.Nanoseconds);

    public static bool operator <(Timestamp left, Timestamp right) => left.Nanoseconds < right.Nanoseconds;

    public static bool operator >(Timestamp left, Timestamp right) => left.Nanoseconds > right.Nanoseconds;

    public static bool operator <=(Timestamp left, Timestamp right) => left.Nanoseconds <= right.Nanoseconds;

    public static bool operator >=(Timestamp left, Timestamp right) => left.Nanoseconds >= right.Nanoseconds;

    /// <summary>RFC 3339 in UTC as <c>2026-04-20T10:00:00.123+00:00</c>, with 0, 3, 6 or 9 digits of fraction.</summary>
    public override string ToString()
    {
        var second = FloorDiv(Nanoseconds, NanosecondsPerSecond);
        var fraction = (int)(Nanoseconds - (second * NanosecondsPerSecond));
        var instant = DateTime.UnixEpoch.AddSeconds(second);
        var digits = fraction == 0 ? 0 : fraction % 1_000_000 == 0 ? 3 : fraction % 1_000 == 0 ? 6 : 9;
        return string.Create(CultureInfo.InvariantCulture, $"{instant:yyyy-MM-ddTHH:mm:ss}{Fraction(fraction, digits)}+00:00");
    }

    /// <summary>Reads RFC 3339 with any offset and up to nine digits of fraction (more are cut).</summary>
    public static bool TryParse(ReadOnlySpan<char> text, out Timestamp timestamp)
    {
        timestamp = default;
        if (text.Length < 20 || text[4] != '-' || text[7] != '-' || (text[10] is not ('T' or 't' or ' ')) || text[13] != ':' || text[16] != ':')
        {
            return false;
        }

        if (!Digits(text[..4], out var year) || !Digits(text[5..7], out var month) || !Digits(text[8..10], out var day)
            || !Digits(text[11..13], out var hour) || !Digits(text[14..16], out var minute) || !Digits(text[17..19], out var second))
        {
            return false;
        }

        if (year is < 1678 or > 2261 || month is < 1 or > 12 || day < 1 || day > DateTime.DaysInMonth(year, month) || hour > 23 || minute > 59 || second > 60)
        {
            return false;
        }

        var rest = text[19..];
        long fraction = 0;
        if (rest[0] == '.')
        {
            var length = 1;
            for (long unit = NanosecondsPerSecond / 10; length < rest.Length && char.IsAsciiDigit(rest[length]); length++, unit /= 10)
            {
                fraction += (rest[length] - '0') * unit;
            }

            if (length == 1)
            {
                return false;
            }

            rest = rest[length..];
        }

        long offset;
        if (rest is "Z" or "z")
        {
            offset = 0;
        }
        else if (rest.Length == 6 && rest[0] is '+' or '-' && rest[3] == ':'
            && Digits(rest[1..3], out var offsetHour) && Digits(rest[4..6], out var offsetMinute) && offsetHour <= 23 && offsetMinute <= 59)
        {
            offset = ((offsetHour * 60) + offsetMinute) * 60 * (rest[0] == '-' ? -1 : 1);
        }
        else
        {
            return false;
        }

        // A leap second counts as the last one before it, as POSIX time has it.
        var date = new DateTime(year, month, day, hour, minute, Math.Min(second, 59), DateTimeKind.Utc);
        var seconds = ((date.Ticks - DateTime.UnixEpoch.Ticks) / TimeSpan.TicksPerSecond) - offset;
        timestamp = new((seconds * NanosecondsPerSecond) + fraction);
        return true;
    }

    internal Timestamp TruncateToMicroseconds() => new(FloorDiv(Nanoseconds, 1000) * 1000);

    private static string Fraction(int nanoseconds, int digits) => digits switch
    {
        0 => "",
        3 => (nanoseconds / 1_000_000).ToString("'.'000", CultureInfo.InvariantCulture),
        6 => (nanoseconds / 1_000).ToString("'.'000000", CultureInfo.InvariantCulture),
        _ => nanoseconds.ToString("'.'000000000", CultureInfo.InvariantCulture),
    };

    private static bool Digits(ReadOnlySpan<char> text, out int value) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out value);

    private static long FloorDiv(long value, long by) => (value / by) - (value % by < 0 ? 1 : 0);
}
