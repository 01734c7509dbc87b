using System.Globalization;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Storage;

/// <summary>Where a page of hashes ended: a table's letter (memories, tombstones, entries) and the last key.</summary>
internal readonly record struct HashPlace(char Table, long Number, string Key)
{
    /// <summary>A place comes from another node: whatever it says, it must not be taken for more than it is.</summary>
    /// <exception cref="MemoryException"><see cref="ErrorKind.InvalidCursor"/></exception>
    public static HashPlace Parse(string place)
    {
        if (place.StartsWith('t'))
        {
            return new('t', 0, place[1..]);
        }

        var end = place.IndexOf('/', StringComparison.Ordinal);
        var isEntry = place.StartsWith('e') && end > 0;
        var number = isEntry ? place[1..end] : place.StartsWith('m') ? place[1..] : "";
        return long.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out var value)
            ? new(place[0], value, isEntry ? place[(end + 1)..] : "")
            : throw new MemoryException(ErrorKind.InvalidCursor, "not a place that this store gave");
    }
}
