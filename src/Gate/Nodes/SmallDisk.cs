using System.Globalization;

namespace OrleansMemory.Gate.Nodes;

/// <summary>
/// A small file system in memory, which can be filled to the last byte. Linux, and the right to mount (root) only. It goes with this
/// process, however that ends.
/// </summary>
public sealed class SmallDisk : IAsyncDisposable
{
    /// <summary>A node's write-ahead log alone may grow to 64.</summary>
    private const int Megabytes = 512;

    private const int PageBytes = 4 << 10;
    private const int ChunkBytes = 1 << 20;

    private static readonly Lazy<string?> Trial = new(static () => Task.Run(TryAsync).GetAwaiter().GetResult());

    private readonly Guard _mount;

    private SmallDisk(string folder, Guard mount)
    {
        Folder = folder;
        _mount = mount;
    }

    /// <summary>Where it is mounted.</summary>
    public string Folder { get; }

    private string Ballast => Path.Combine(Folder, "ballast");

    /// <summary>Why there can be none here; null when there can. Mounts one to find out.</summary>
    public static string? WhyNot => Trial.Value;

    /// <summary>Mounts an empty one over a folder, which is made when missing.</summary>
    /// <exception cref="GateException">It cannot be mounted.</exception>
    public static async Task<SmallDisk> MountAsync(string folder)
    {
        Directory.CreateDirectory(folder);
        var size = string.Create(CultureInfo.InvariantCulture, $"size={Megabytes}m");
        return new(folder, await Guard.StartAsync("mount -t tmpfs -o \"$2\" tmpfs \"$1\" && echo", "exec umount -l \"$1\"", folder, size));
    }

    /// <summary>Takes all space that is left.</summary>
    public void Fill()
    {
        using var file = new FileStream(Ballast, FileMode.Append, FileAccess.Write, FileShare.None, bufferSize: 0);
        foreach (var size in (ReadOnlySpan<int>)[ChunkBytes, PageBytes])
        {
            try
            {
                var bytes = new byte[size];
                for (var written = 0L; written < (long)Megabytes << 20; written += size)
                {
                    file.Write(bytes);
                }
            }
            catch (IOException)
            {
                // Nothing of that size goes in any more.
            }
        }
    }

    /// <summary>Gives back what <see cref="Fill"/> took.</summary>
    public void Free() => File.Delete(Ballast);

    /// <summary>Unmounts it; what was on it is gone.</summary>
    public ValueTask DisposeAsync() => _mount.DisposeAsync();

    private static async Task<string?> TryAsync()
    {
        var folder = Directory.CreateTempSubdirectory("om-disk-").FullName;
        try
        {
            await (await MountAsync(folder)).DisposeAsync();
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
