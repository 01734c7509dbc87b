using System.Runtime.InteropServices;

namespace OrleansMemory.Cli.Bench;

/// <summary>Waits for less than a millisecond without burning a core that the node needs.</summary>
internal static partial class Pause
{
    public static void For(TimeSpan time)
    {
        if (OperatingSystem.IsLinux())
        {
            var span = new TimeSpec((long)time.TotalSeconds, time.Ticks % TimeSpan.TicksPerSecond * 100);
            _ = NanoSleep(in span, 0);
        }
        else
        {
            Thread.Sleep(time);
        }
    }

    [LibraryImport("libc", EntryPoint = "nanosleep")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int NanoSleep(in TimeSpec request, nint remaining);

    [StructLayout(LayoutKind.Sequential)]
    private readonly record struct TimeSpec(long Seconds, long Nanoseconds);
}
