using System.Reflection;
using System.Runtime.InteropServices;
using SQLitePCL;

namespace OrleansMemory.Storage.Sqlite;

/// <summary>
/// Chooses the SQLite library once for the process: the machine's own when it is newer than the bundled one, else the bundled
/// one, which is from 2021.
/// </summary>
internal static class SqliteLibrary
{
    private static readonly string[] SystemNames = OperatingSystem.IsMacOS() ? ["libsqlite3.dylib"] : ["libsqlite3.so.0", "libsqlite3.so"];

    private static readonly Lazy<string> Loaded = new(Choose);

    /// <summary>The version in use.</summary>
    public static string Version => Loaded.Value;

    /// <summary>True when the machine had no newer library than the bundled one.</summary>
    public static bool IsBundled { get; private set; } = true;

    public static void Load() => _ = Loaded.Value;

    private static string Choose()
    {
        var system = FindSystem();
        if (system != 0)
        {
            IsBundled = false;
            NativeLibrary.SetDllImportResolver(typeof(SQLite3Provider_e_sqlite3).Assembly, (name, _, _) => name == "e_sqlite3" ? system : 0);
        }

        Batteries_V2.Init();
        return raw.sqlite3_libversion().utf8_to_string();
    }

    private static nint FindSystem()
    {
        foreach (var name in SystemNames)
        {
            if (NativeLibrary.TryLoad(name, Assembly.GetExecutingAssembly(), DllImportSearchPath.SafeDirectories, out var library)
                && NativeLibrary.TryGetExport(library, "sqlite3_libversion_number", out var address))
            {
                // 3.35.5 is what the bundle holds.
                if (Marshal.GetDelegateForFunctionPointer<VersionNumber>(address)() > 3_035_005)
                {
                    return library;
                }

                NativeLibrary.Free(library);
            }
        }

        return 0;
    }

    [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
    private delegate int VersionNumber();
}
