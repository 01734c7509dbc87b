using System.Globalization;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Storage;

/// <summary>How a log is told in two columns of a table: the node as text, the incarnation as 16 hexadecimal digits.</summary>
internal static class StoredLog
{
    public static string FormatIncarnation(LogId log) => log.Incarnation.ToString("x16", CultureInfo.InvariantCulture);

    /// <exception cref="MemoryException"><see cref="ErrorKind.StoreFailed"/></exception>
    public static LogId Parse(string node, string incarnation) => LogId.TryParse($"{node}~{incarnation}", out var log)
        ? log
        : throw new MemoryException(ErrorKind.StoreFailed, $"the store names a log that is none: {node}~{incarnation}");
}
