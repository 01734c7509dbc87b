using System.Runtime.InteropServices;

namespace OrleansMemory.Storage.Backup;

/// <summary>Puts files and their names on stable storage: a name that is only in the folder's pages is gone after a power cut.</summary>
internal static partial class DurableFiles
{
    private const int ReadOnly = 0;

    public static void Flush(string path)
    {
        using (var file = new FileStream(path, FileMode.Open, FileAccess.ReadWrite))
        {
            file.Flush(flushToDisk: true);
        }

        FlushFolder(Path.GetDirectoryName(path)!);
    }

    /// <summary>The framework opens no folders; Windows keeps their names by itself.</summary>
    /// <exception cref="IOException"/>
    public static void FlushFolder(string folder)
    {
        if (OperatingSystem.IsWindows())
        {
            return;
        }

        var descriptor = Open(folder, ReadOnly);
        var flushed = descriptor >= 0 && Fsync(descriptor) == 0;
        var error = Marshal.GetLastPInvokeError();
        if (descriptor >= 0)
        {
            _ = Close(descriptor);
        }

        if (!flushed)
        {
            throw new IOException($"the folder {folder} cannot be put on stable storage: {Marshal.GetPInvokeErrorMessage(error)}");
        }
    }

    /// <summary>Gives a file a second name, so that the first can be taken by another file without an instant in which it is nobody's.</summary>
    public static void Link(string path, string name)
    {
        if (OperatingSystem.IsWindows() || LinkNames(path, name) != 0)
        {
            // Some file systems have no second names.
            File.Copy(path, name);
        }
    }

    [LibraryImport("libc", EntryPoint = "link", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int LinkNames(string path, string name);

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Open(string path, int flags);

    [LibraryImport("libc", EntryPoint = "fsync", SetLastError = true)]
    private static partial int Fsync(int descriptor);

    [LibraryImport("libc", EntryPoint = "close", SetLastError = true)]
    private static partial int Close(int descriptor);
}
