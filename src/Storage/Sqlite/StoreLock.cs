using System.Globalization;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Storage.Sqlite;

/// <summary>
/// Keeps a second process off a store: an exclusive lock on a file beside it, which the system lets go when the process ends,
/// however it ends.
/// </summary>
internal sealed class StoreLock : IDisposable
{
    private static readonly TimeSpan Retry = TimeSpan.FromMilliseconds(20);

    /// <summary>EAGAIN on Linux, EWOULDBLOCK on macOS, a sharing violation on Windows.</summary>
    private static readonly int[] HeldByOther = [11, 35, unchecked((int)0x80070020)];

    private readonly FileStream _file;

    private StoreLock(FileStream file) => _file = file;

    /// <param name="patience">How long to wait for a holder that is about to end, such as another command.</param>
    /// <exception cref="MemoryException"><see cref="ErrorKind.StoreInUse"/>, or <see cref="ErrorKind.StoreFailed"/>: the file cannot be made.</exception>
    public static StoreLock Acquire(string databasePath, TimeSpan patience)
    {
        var path = databasePath + ".lock";
        var deadline = DateTime.UtcNow + patience;
        while (true)
        {
            try
            {
                var file = new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None, bufferSize: 1);
                NoteHolder(file);
                return new(file);
            }
            catch (IOException exception) when (Array.IndexOf(HeldByOther, exception.HResult) >= 0)
            {
                if (DateTime.UtcNow >= deadline)
                {
                    throw new MemoryException(
                        ErrorKind.StoreInUse,
                        $"database {databasePath} is in use by another process; stop it, or reach the node that serves it with --url",
                        exception);
                }

                Thread.Sleep(Retry);
            }
            catch (DirectoryNotFoundException exception)
            {
                throw new MemoryException(ErrorKind.StoreFailed, $"failed to open database {databasePath}: the folder does not exist", exception);
            }
            catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
            {
                throw new MemoryException(ErrorKind.StoreFailed, $"failed to open database {databasePath}: {exception.Message}", exception);
            }
        }
    }

    /// <summary>For whoever looks; the lock does not rest on it, and a full disk does not stop a node from starting.</summary>
    private static void NoteHolder(FileStream file)
    {
        try
        {
            file.SetLength(0);
            file.Write(System.Text.Encoding.UTF8.GetBytes(Environment.ProcessId.ToString(CultureInfo.InvariantCulture)));
            file.Flush();
        }
        catch (IOException)
        {
        }
    }

    public void Dispose() => _file.Dispose();
}
