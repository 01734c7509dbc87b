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

    private static nint _system;

    private static readonly Lazy<string> Loaded = new(Choose);

    /// <summary>The version in use.</summary>
    public static string Version => Loaded.Value;

    /// <summary>True when the machine had no newer library than the bundled one.</summary>
    public static bool IsBundled { get; private set; } = true;

    /// <summary>An exported function of the library in use, for what the bindings lack.</summary>
    /// <exception cref="EntryPointNotFoundException"/>
    public static nint Function(string name)
    {
        Load();
        var library = _system != 0 ? _system : NativeLibrary.Load("e_sqlite3", typeof(SQLite3Provider_e_sqlite3).Assembly, null);
        return NativeLibrary.GetExport(library, name);
    }

    public static void Load() => _ = Loaded.Value;

    private static string Choose()
    {
        var system = FindSystem();
        if (system != 0)
        {
            IsBundled = false;
            _system = system;
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
                // 3.35.5 is what the bundle holds; without full-text search the bundle is better at any version.
                if (Marshal.GetDelegateForFunctionPointer<VersionNumber>(address)() > 3_035_005
                    && NativeLibrary.TryGetExport(library, "sqlite3_compileoption_used", out var options)
                    && Marshal.GetDelegateForFunctionPointer<OptionUsed>(options)("ENABLE_FTS5") != 0)
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

    [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
    private delegate int OptionUsed([MarshalAs(UnmanagedType.LPUTF8Str)] string name);
}
