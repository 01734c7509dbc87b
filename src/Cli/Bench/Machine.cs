using System.Diagnostics;
using System.Runtime.InteropServices;

namespace OrleansMemory.Cli.Bench;

/// <summary>What a result cannot be read without: the machine, its disk, and the build.</summary>
/// <param name="Kernel">Operating system and version.</param>
/// <param name="FileSystem">Of the folder that holds the database.</param>
/// <param name="FsyncMilliseconds">Median of a 4 KiB write with fsync in that folder.</param>
/// <param name="Commit">Null when the build does not know it.</param>
internal sealed record Machine(
    string Cpu,
    int Cores,
    long MemoryBytes,
    string Kernel,
    string Runtime,
    string FileSystem,
    double FsyncMilliseconds,
    string? Commit)
{
    private const int FsyncSamples = 200;

    public static Machine Describe(string folder)
    {
        return new(
            CpuName(),
            Environment.ProcessorCount,
            GC.GetGCMemoryInfo().TotalAvailableMemoryBytes,
            $"{RuntimeInformation.OSDescription}, {Environment.OSVersion.VersionString}",
            RuntimeInformation.FrameworkDescription,
            new DriveInfo(folder).DriveFormat,
            MeasureFsync(folder),
            Invocation.Commit);
    }

    private static string CpuName()
    {
        try
        {
            var line = File.ReadLines("/proc/cpuinfo").FirstOrDefault(line => line.StartsWith("model name", StringComparison.Ordinal));
            return line is null ? RuntimeInformation.ProcessArchitecture.ToString() : line[(line.IndexOf(':', StringComparison.Ordinal) + 1)..].Trim();
        }
        catch (IOException)
        {
            return RuntimeInformation.ProcessArchitecture.ToString();
        }
    }

    private static double MeasureFsync(string folder)
    {
        var path = Path.Combine(folder, $"fsync-{Guid.NewGuid():n}");
        var latencies = new Latencies();
        var page = new byte[4096];
        using (var file = new FileStream(path, FileMode.CreateNew, FileAccess.Write, FileShare.None, bufferSize: 0, FileOptions.DeleteOnClose))
        {
            for (var sample = 0; sample < FsyncSamples; sample++)
            {
                var begun = Stopwatch.GetTimestamp();
                file.Write(page);
                file.Flush(flushToDisk: true);
                latencies.Add(Stopwatch.GetElapsedTime(begun));
            }
        }

        return latencies.Milliseconds(0.5);
    }
}
