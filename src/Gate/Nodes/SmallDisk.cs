using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;

namespace OrleansMemory.Gate.Nodes;

/// <summary>A small file system in memory, which can be filled to the last byte. Linux, and the right to mount (root) only.</summary>
public sealed class SmallDisk : IAsyncDisposable
{
    private const int Megabytes = 64;
    private const int PageBytes = 4096;

    private static readonly Lazy<Task<string?>> Trial = new(TryAsync);

    private SmallDisk(string folder) => Folder = folder;

    /// <summary>Where it is mounted.</summary>
    public string Folder { get; }

    private string Ballast => Path.Combine(Folder, "ballast");

    /// <summary>Why there can be none here; null when there can. Mounts one to find out.</summary>
    public static Task<string?> WhyNotAsync() => Trial.Value;

    /// <summary>Mounts an empty one over a folder, which is made when missing.</summary>
    /// <exception cref="GateException">It cannot be mounted.</exception>
    public static async Task<SmallDisk> MountAsync(string folder)
    {
        Directory.CreateDirectory(folder);
        await RunAsync("mount", "-t", "tmpfs", "-o", string.Create(CultureInfo.InvariantCulture, $"size={Megabytes}m"), "tmpfs", folder);
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
    public async ValueTask DisposeAsync() => await RunAsync("umount", "-l", Folder);

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

    private static async Task RunAsync(string program, params string[] arguments)
    {
        try
        {
            using var process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardError = true, UseShellExecute = false })!;
            var error = await process.StandardError.ReadToEndAsync();
            await process.WaitForExitAsync();
            if (process.ExitCode != 0)
            {
                throw new GateException($"{program} failed: {error.Trim()}");
            }
        }
        catch (Win32Exception exception)
        {
            throw new GateException($"{program} cannot be started: {exception.Message}", exception);
        }
    }
}
