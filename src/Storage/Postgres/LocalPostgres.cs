using System.ComponentModel;
using System.Diagnostics;
using Npgsql;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Storage.Postgres;

/// <summary>
/// A private PostgreSQL server on this machine, from the installed binaries: for tests, for a first look and for measurements. It
/// runs as an ordinary user (the server refuses root), listens on a socket in its own folder only, which no other user can enter,
/// and syncs to disk as any server does. It ends with this process, however that ends, unless it was started to stay.
/// </summary>
public sealed class LocalPostgres : IAsyncDisposable
{
    public const string HowToInstall = "PostgreSQL 15 or newer is not installed: apt-get install postgresql (or set OM_POSTGRES_BIN to the folder of initdb and pg_ctl)";

    /// <summary>Of the socket's name; nothing listens on a network.</summary>
    private const int Port = 5432;

    private const int LongestSocketPath = 100;

    /// <summary>Starts the server, says so, stops it when its input ends, and takes its folder away unless it was told to keep it.</summary>
    private const string Guard = """
        trap '' INT HUP TERM
        ctl=$1; dir=$2; life=$3; shift 3
        "$ctl" -D "$dir/data" -l "$dir/log" -w -t 60 -o "$*" start >/dev/null || { tail -n 5 "$dir/log" >&2; exit 1; }
        server=$(head -n 1 "$dir/data/postmaster.pid")
        echo ready
        read -r word
        kill -INT "$server" 2>/dev/null
        while kill -0 "$server" 2>/dev/null; do sleep 0.05; done
        [ "$life" = kept ] || [ "$word" = keep ] || rm -rf "$dir"
        """;

    private static readonly TimeSpan StartDeadline = TimeSpan.FromSeconds(60);

    private readonly string _folder;
    private readonly string _binaries;
    private readonly bool _temporary;
    private Process? _guard;

    private LocalPostgres(string folder, string binaries, bool temporary)
    {
        _folder = folder;
        _binaries = binaries;
        _temporary = temporary;
    }

    /// <summary>The folder of the newest installed binaries; null when there are none.</summary>
    public static string? FindBinaries()
    {
        if (Environment.GetEnvironmentVariable("OM_POSTGRES_BIN") is { Length: > 0 } named)
        {
            return Holds(named) ? named : null;
        }

        string[] roots = ["/usr/lib/postgresql", "/usr/local/lib/postgresql", "/opt/homebrew/opt"];
        var versioned = roots.Where(Directory.Exists).SelectMany(Directory.GetDirectories)
            .Select(static folder => (Folder: Path.Combine(folder, "bin"), Version: int.TryParse(Path.GetFileName(folder).Replace("postgresql@", "", StringComparison.Ordinal), out var version) ? version : 0))
            .Where(static found => found.Version >= 15 && Holds(found.Folder)).OrderByDescending(static found => found.Version).Select(static found => found.Folder);
        var path = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries).Where(Holds);
        return versioned.Concat(path).FirstOrDefault();

        static bool Holds(string folder) => File.Exists(Path.Combine(folder, "initdb")) && File.Exists(Path.Combine(folder, "pg_ctl"));
    }

    /// <param name="folder">Kept, and used again; null: a temporary one, which goes with the server.</param>
    /// <exception cref="MemoryException"><see cref="ErrorKind.StoreFailed"/>: it is not installed, or does not start.</exception>
    public static async Task<LocalPostgres> StartAsync(string? folder = null)
    {
        var binaries = FindBinaries() ?? throw new MemoryException(ErrorKind.StoreFailed, HowToInstall);
        var temporary = folder is null;
        folder = folder is null ? Directory.CreateTempSubdirectory("om-pg-").FullName : Path.GetFullPath(folder);
        var server = new LocalPostgres(folder, binaries, temporary);
        try
        {
            await server.CreateAsync();
            await server.StartAgainAsync();
            return server;
        }
        catch
        {
            await server.DisposeAsync();
            throw;
        }
    }

    /// <summary>Of a database of this server, which must exist.</summary>
    public string UrlOf(string database) => $"postgres:///{database}?host={Uri.EscapeDataString(_folder)}&port={Port}&user=om";

    /// <summary>Where the server listens.</summary>
    public string SocketPath => Path.Combine(_folder, $".s.PGSQL.{Port}");

    /// <summary>Creates the database when it is missing.</summary>
    /// <returns>Its URL.</returns>
    public async Task<string> CreateDatabaseAsync(string database)
    {
        var connection = PostgresUrl.Parse(UrlOf("postgres")).ToConnection();
        connection.Pooling = false;
        await using var source = NpgsqlDataSource.Create(connection);
        await using var find = source.CreateCommand("select 1 from pg_database where datname = $1");
        find.Parameters.Add(new NpgsqlParameter<string> { TypedValue = database });
        if (await find.ExecuteScalarAsync() is null)
        {
            await using var create = source.CreateCommand($"create database \"{database.Replace("\"", "\"\"", StringComparison.Ordinal)}\" encoding 'UTF8' lc_collate 'C' lc_ctype 'C.UTF-8' template template0");
            await create.ExecuteNonQueryAsync();
        }

        return UrlOf(database);
    }

    /// <summary>Starts a server that stays when this process ends, on a folder that is kept.</summary>
    /// <returns>The URL of its database <paramref name="database"/>.</returns>
    public static async Task<string> StartToStayAsync(string folder, string database)
    {
        var server = new LocalPostgres(Path.GetFullPath(folder), FindBinaries() ?? throw new MemoryException(ErrorKind.StoreFailed, HowToInstall), temporary: false);
        await server.CreateAsync();
        if (!File.Exists(Path.Combine(server.Data, "postmaster.pid")))
        {
            await RunAsync([server.Control, "-D", server.Data, "-l", Path.Combine(server._folder, "log"), "-w", "-t", "60", "-o", string.Join(' ', server.Settings), "start"]);
        }

        return await server.CreateDatabaseAsync(database);
    }

    /// <summary>Stops a server that was started to stay.</summary>
    public static async Task StopAsync(string folder, bool fast)
    {
        var server = new LocalPostgres(Path.GetFullPath(folder), FindBinaries() ?? throw new MemoryException(ErrorKind.StoreFailed, HowToInstall), temporary: false);
        await RunAsync([server.Control, "-D", server.Data, "-m", fast ? "fast" : "immediate", "-w", "-t", "60", "stop"]);
    }

    /// <summary>Stops the server, however that leaves its clients.</summary>
    /// <param name="mode"><c>fast</c> ends sessions and syncs; <c>immediate</c> is a crash.</param>
    public async Task StopAsync(string mode = "fast")
    {
        if (_guard is { } guard)
        {
            await RunAsync([Control, "-D", Data, "-m", mode, "-w", "-t", "60", "stop"]);
            await guard.StandardInput.WriteLineAsync("keep");
            guard.StandardInput.Close();
            await guard.WaitForExitAsync();
            guard.Dispose();
            _guard = null;
        }
    }

    /// <summary>Starts it after a stop.</summary>
    public async Task StartAgainAsync()
    {
        var start = Command(["sh", "-c", Guard, "sh", Control, _folder, _temporary ? "temporary" : "kept", .. Settings]);
        start.RedirectStandardInput = true;
        _guard = Process.Start(start) ?? throw new MemoryException(ErrorKind.StoreFailed, "sh cannot be started");
        var told = _guard.StandardOutput.ReadLineAsync();
        if (await told.WaitAsync(StartDeadline) != "ready")
        {
            throw new MemoryException(ErrorKind.StoreFailed, $"PostgreSQL does not start: {(await _guard.StandardError.ReadToEndAsync()).Trim()}");
        }
    }

    /// <summary>The process of the server itself.</summary>
    public int ProcessId() => int.Parse(File.ReadLines(Path.Combine(Data, "postmaster.pid")).First(), System.Globalization.CultureInfo.InvariantCulture);

    public async ValueTask DisposeAsync()
    {
        try
        {
            // What is about to be deleted need not be synced.
            await StopAsync(_temporary ? "immediate" : "fast");
        }
        catch (MemoryException)
        {
            // It has stopped by itself.
        }

        _guard?.Dispose();
        if (_temporary)
        {
            Directory.Delete(_folder, recursive: true);
        }
    }

    private string Control => Path.Combine(_binaries, "pg_ctl");

    private string Data => Path.Combine(_folder, "data");

    private IEnumerable<string> Settings =>
        ["-c", "listen_addresses=", "-c", $"unix_socket_directories={_folder}", "-c", $"port={Port}", "-c", "max_connections=200", "-c", "shared_buffers=256MB"];

    /// <summary>The server refuses root: as root, an ordinary user runs it.</summary>
    private static (string User, string Group)? OrdinaryUser()
    {
        if (Environment.UserName != "root")
        {
            return null;
        }

        var known = File.ReadLines("/etc/passwd").Select(static line => line.Split(':')).Where(static user => user.Length > 3).ToLookup(static user => user[0]);
        var user = known["postgres"].Concat(known["nobody"]).First();
        return (user[2], user[3]);
    }

    private async Task CreateAsync()
    {
        if (OperatingSystem.IsWindows())
        {
            throw new MemoryException(ErrorKind.StoreFailed, "a private PostgreSQL server is for Linux and macOS");
        }

        if (_folder.Length > LongestSocketPath - ".s.PGSQL.5432".Length || _folder.Contains('\'', StringComparison.Ordinal) || _folder.Contains(' ', StringComparison.Ordinal))
        {
            throw new MemoryException(ErrorKind.StoreFailed, $"the folder {_folder} cannot hold a PostgreSQL server: its path is too long for a socket, or has a space or a quotation mark");
        }

        if (File.Exists(Path.Combine(Data, "PG_VERSION")))
        {
            return;
        }

        Directory.CreateDirectory(_folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        if (OrdinaryUser() is { } user)
        {
            await RunAsync(Plain(["chown", $"{user.User}:{user.Group}", _folder]));
        }

        await RunAsync([Path.Combine(_binaries, "initdb"), "-D", Data, "-U", "om", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-instructions"]);
    }

    private static Task RunAsync(string[] command) => RunAsync(Command(command));

    private static async Task RunAsync(ProcessStartInfo start)
    {
        var what = start.FileName == "setpriv" ? Path.GetFileName(start.ArgumentList[5]) : Path.GetFileName(start.FileName);
        try
        {
            using var process = Process.Start(start)!;
            var output = process.StandardOutput.ReadToEndAsync();
            var errors = await process.StandardError.ReadToEndAsync();
            await process.WaitForExitAsync();
            if (process.ExitCode != 0)
            {
                throw new MemoryException(ErrorKind.StoreFailed, $"{what} failed: {(errors.Length > 0 ? errors : await output).Trim()}");
            }
        }
        catch (Win32Exception exception)
        {
            throw new MemoryException(ErrorKind.StoreFailed, $"{start.FileName} cannot be started: {exception.Message}", exception);
        }
    }

    private static ProcessStartInfo Command(string[] command) => OrdinaryUser() is { } user
        ? Plain(["setpriv", $"--reuid={user.User}", $"--regid={user.Group}", "--clear-groups", "--inh-caps=-all", "--", .. command])
        : Plain(command);

    private static ProcessStartInfo Plain(string[] command)
    {
        var start = new ProcessStartInfo(command[0], command[1..]) { RedirectStandardOutput = true, RedirectStandardError = true, UseShellExecute = false, WorkingDirectory = "/" };
        start.Environment["LC_ALL"] = "C.UTF-8";
        return start;
    }
}
