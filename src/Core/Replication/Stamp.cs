using System.Globalization;

namespace OrleansMemory.Core.Replication;

/// <summary>
/// The log of one store: the node that writes it and the incarnation of its store. A store draws a new incarnation when it is
/// created, restored or replaced, so a sequence number is never used twice in one log.
/// </summary>
/// <param name="Node">1 to 128 characters of an agent id.</param>
/// <param name="Incarnation">Drawn at random.</param>
public readonly record struct LogId(string Node, ulong Incarnation) : IComparable<LogId>
{
    public int CompareTo(LogId other)
    {
        var node = string.CompareOrdinal(Node, other.Node);
        return node != 0 ? node : Incarnation.CompareTo(other.Incarnation);
    }

    /// <summary><c>node~00c0ffee00c0ffee</c>.</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Node}~{Incarnation:x16}");

    public static bool TryParse(string text, out LogId log)
    {
        var separator = text.LastIndexOf('~');
        if (separator > 0 && ulong.TryParse(text.AsSpan(separator + 1), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var incarnation))
        {
            log = new(text[..separator], incarnation);
            return true;
        }

        log = default;
        return false;
    }
}

/// <summary>A place in a log. Sequence numbers start at 1 and have no gaps. A caller holds it as a token: "I have seen this".</summary>
public readonly record struct LogPosition(LogId Log, long Sequence)
{
    /// <summary><c>node~00c0ffee00c0ffee:17</c>.</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Log}:{Sequence}");

    public static bool TryParse(string text, out LogPosition position)
    {
        var separator = text.LastIndexOf(':');
        if (separator > 0 && LogId.TryParse(text[..separator], out var log)
            && long.TryParse(text.AsSpan(separator + 1), NumberStyles.None, CultureInfo.InvariantCulture, out var sequence))
        {
            position = new(log, sequence);
            return true;
        }

        position = default;
        return false;
    }
}

/// <summary>
/// A hybrid logical clock reading with the log that drew it: a total order over all writes of all nodes.
/// The clock is 48 bits of Unix milliseconds above a 16-bit counter whose overflow carries into the milliseconds
/// (Kulkarni et al., "Logical Physical Clocks", 2014).
/// </summary>
public readonly record struct Stamp(long Clock, LogId Log) : IComparable<Stamp>
{
    public const int CounterBits = 16;

    public long UnixMilliseconds => Clock >> CounterBits;

    public int CompareTo(Stamp other)
    {
        var clock = Clock.CompareTo(other.Clock);
        return clock != 0 ? clock : Log.CompareTo(other.Log);
    }

    public static bool operator <(Stamp left, Stamp right) => left.CompareTo(right) < 0;

    public static bool operator >(Stamp left, Stamp right) => left.CompareTo(right) > 0;

    public static bool operator <=(Stamp left, Stamp right) => left.CompareTo(right) <= 0;

    public static bool operator >=(Stamp left, Stamp right) => left.CompareTo(right) >= 0;

    public static Stamp Max(Stamp left, Stamp right) => left >= right ? left : right;

    public static Stamp Min(Stamp left, Stamp right) => left <= right ? left : right;

    /// <summary>The clock reading after <paramref name="last"/> at the given wall time: at least one more, at least the wall time.</summary>
    public static long Next(long last, long unixMilliseconds) => Math.Max(last + 1, unixMilliseconds << CounterBits);

    /// <summary><c>0195d3a0f1c20001@node~00c0ffee00c0ffee</c>.</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Clock:x16}@{Log}");
}
