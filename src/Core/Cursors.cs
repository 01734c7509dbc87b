using System.Text;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Core;

/// <summary>The key of the last row of a page, as text that a client hands back.</summary>
internal static class Cursors
{
    /// <param name="key">Parts with slashes between them; only the last may hold one itself.</param>
    public static string Format(string key) => Convert.ToBase64String(Encoding.UTF8.GetBytes(key)).TrimEnd('=').Replace('+', '-').Replace('/', '_');

    /// <exception cref="MemoryException"><see cref="ErrorKind.InvalidCursor"/></exception>
    public static string[] Parse(string cursor, int parts)
    {
        try
        {
            var padded = cursor.Replace('-', '+').Replace('_', '/').PadRight((cursor.Length + 3) / 4 * 4, '=');
            var key = Encoding.UTF8.GetString(Convert.FromBase64String(padded)).Split('/', parts);
            return key.Length == parts ? key : throw Invalid();
        }
        catch (FormatException exception)
        {
            throw Invalid(exception);
        }
    }

    public static MemoryException Invalid(Exception? inner = null) => new(ErrorKind.InvalidCursor, "cursor is not one that this service gave", inner);
}
