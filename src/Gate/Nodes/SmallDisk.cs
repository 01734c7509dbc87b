using System.Globalization;

namespace OrleansMemory.Gate.Nodes;

/// <summary>A small file system in memory, which can be filled to the last byte. Linux, and the right to mount (root) only.</summary>
public sealed class SmallDisk : IDisposable
{
    private const int Megabytes = 64;
    private const int PageBytes = 4096;

    private static readonly Lazy<string?> Trial = new(Try);

    private SmallDisk(string folder) => Folder = folder;

    /// <summary>Where it is mounted.</summary>
    public string Folder { get; }

    private string Ballast => Path.Combine(Folder, "ballast");

    /// <summary>Why there can be none here; null when there can. Mounts one to find out.</summary>
    public static string? WhyNot => Trial.Value;

    /// <summary>Mounts an empty one over a folder, which is made when missing.</summary>
    /// <exception cref="GateException">It cannot be mounted.</exception>
    public static SmallDisk Mount(string folder)
    {
        Directory.CreateDirectory(folder);
        Command.Run("mount", ["-t", "tmpfs", "-o", string.Create(CultureInfo.InvariantCulture, $"size={Megabytes}m"), "tmpfs", folder]);
        return new(folder);
    }

    /// <summary>Takes all space that is left.</summary>
    public void Fill()
    {
        var page = new byte[PageBytes];
        try
        {
            using var file = new FileStream(Ballast, FileMode.Append, FileAccess.Write, FileShare.None, bufferSize: 0);
            for (var written = 0L; written < Megabytes << 20; written += page.Length)
            {
                file.Write(page);
            }
        }
        catch (IOException)
        {
            // It is full.
        }
    }

    /// <summary>Gives back what <see cref="Fill"/> took.</summary>
    public void Free() => File.Delete(Ballast);

    /// <summary>Unmounts it; what was on it is gone.</summary>
    public void Dispose() => Command.Run("umount", ["-l", Folder]);

    private static string? Try()
    {
        var folder = Directory.CreateTempSubdirectory("om-disk-").FullName;
        try
        {
            Mount(folder).Dispose();
            return null;
        }
        catch (GateException exception)
        {
            return $"a small file system needs Linux and the right to mount: {exception.Message}";
        }
        finally
        {
            Directory.Delete(folder);
        }
    }
}
