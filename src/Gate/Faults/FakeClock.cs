using System.Globalization;

namespace OrleansMemory.Gate.Faults;

/// <summary>
/// A wall clock of a process that a test sets while the process runs. The C library's clock is replaced by libfaketime
/// (https://github.com/wolfcw/libfaketime), which reads an offset from a file at each call; the monotonic clock goes on as it is.
/// </summary>
public sealed class FakeClock
{
    private static readonly string[] Places =
    [
        "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
        "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
        "/usr/lib64/faketime/libfaketimeMT.so.1",
        "/usr/lib/faketime/libfaketimeMT.so.1",
        "/usr/local/lib/faketime/libfaketimeMT.so.1",
    ];

    private readonly string _path;

    public FakeClock(string path)
    {
        _path = path;
        Set(TimeSpan.Zero);
    }

    /// <summary>Why there can be none here; null when there can.</summary>
    public static string? Missing => Library is null
        ? "clock jumps need libfaketime, which is not installed: apt-get install faketime (Debian, Ubuntu), dnf install libfaketime (Fedora)"
        : null;

    private static string? Library => Array.Find(Places, File.Exists);

    /// <summary>For the process.</summary>
    public (string Name, string Value)[] Environment =>
    [
        ("LD_PRELOAD", Library!),
        ("FAKETIME_TIMESTAMP_FILE", _path),
        ("FAKETIME_NO_CACHE", "1"),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        ("DONT_FAKE_MONOTONIC", "1"),
    ];

    /// <summary>Sets the clock this far ahead of the machine's, or behind.</summary>
    public void Set(TimeSpan ahead)
    {
        // Replaced as a whole: the process may read it at any moment.
        var next = _path + ".next";
        File.WriteAllText(next, string.Create(CultureInfo.InvariantCulture, $"{(ahead < TimeSpan.Zero ? "-" : "+")}{Math.Abs(ahead.TotalSeconds):F0}\n"));
        File.Move(next, _path, overwrite: true);
    }
}
