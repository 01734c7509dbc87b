using System.CommandLine;
using OrleansMemory.Api.Configuration;
using OrleansMemory.Cli.Options;
using OrleansMemory.Cli.Output;
using OrleansMemory.Cli.Remote;
using OrleansMemory.Core;
using OrleansMemory.Core.Memories;
using OrleansMemory.Storage;

namespace OrleansMemory.Cli;

/// <summary>One run of one command: its global options, its output, and the service it works on.</summary>
/// <param name="shell">The shell that the command was given to, whose options and service are its own; null: none.</param>
internal sealed class Session(Invocation invocation, GlobalOptions options, ParseResult parse, Report report, Session? shell = null) : IAsyncDisposable
{
    private readonly Lazy<NodeOptions> _configuration = new(() => shell?.Configuration ?? Load(invocation, report));
    private string? _agentId;
    private OpenedService? _opened;

    public Invocation Invocation => invocation;

    public Report Report => report;

    public TextWriter Text => report.Text;

    public TextWriter Error => report.Error;

    public bool Json { get; } = parse.GetValue(options.Json);

    public Timestamp Now { get; } = Timestamp.Now(TimeProvider.System);

    /// <summary>The caller, from <c>--agent-id</c>, the environment, or the process.</summary>
    public string AgentId => _agentId ??= parse.GetValue(options.AgentId) is null && shell is not null
        ? shell.AgentId
        : Identity.Resolve(parse.GetValue(options.AgentId) ?? Configuration.AgentId, Configuration.Anonymize);

    /// <summary>The user says who calls.</summary>
    public bool IsNamed => (parse.GetValue(options.AgentId) ?? Configuration.AgentId) is not null;

    /// <summary>The database that the command line names, as it can be named from any folder; null: none.</summary>
    public string? NamedDatabase => parse.GetValue(options.Db) is { } named ? StoreLocation.Parse(named).Path is { } path ? Path.GetFullPath(path) : named : null;

    public WriteContext Write => new(AgentId);

    /// <summary>What the environment and the configuration files say; the command line comes before it.</summary>
    /// <exception cref="InvalidOptionException">The user's file or a variable cannot be used.</exception>
    public NodeOptions Configuration => _configuration.Value;

    /// <summary>The local database: <c>--db</c>, the configuration, else the default of the program's name.</summary>
    public DatabaseLocation Database
    {
        get
        {
            if (IsOfShell)
            {
                return shell!.Database;
            }

            if (parse.GetValue(options.Db) is { } named)
            {
                return new(StoreLocation.Parse(named), InDataFolder: false);
            }

            var store = StoreLocation.Parse(Configuration.DatabasePath);
            var data = Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData, Environment.SpecialFolderOption.DoNotVerify);
            return new(store, InDataFolder: data.Length > 0 && store.Path?.StartsWith(Path.Combine(data, "orleans-memory") + Path.DirectorySeparatorChar, StringComparison.Ordinal) == true);
        }
    }

    /// <summary>The node that the options name; null when they name a database.</summary>
    public Uri? Address
    {
        get
        {
            if (IsOfShell)
            {
                return shell!.Address;
            }

            var url = parse.GetValue(options.Url);
            var db = parse.GetValue(options.Db);
            if (url is not null && db is not null)
            {
                throw new UsageException(parse.CommandResult.Command, "the argument '--url' cannot be used with '--db'");
            }

            // A flag wins over any variable.
            url ??= db is null ? Variables.Read("URL") : null;
            if (url is null)
            {
                return null;
            }

            return Uri.TryCreate(url, UriKind.Absolute, out var address) && address.Scheme is "http" or "https"
                ? address
                : throw new MemoryException(ErrorKind.MalformedRequest, $"not an http or https address: {url}");
        }
    }

    /// <summary>The node that is asked: the one that the options name, else the one that serves the database; null: the database is opened here.</summary>
    public Uri? Node => Address ?? ServingNote.Find(Database.Store);

    public T? Value<T>(Option<T> option) => parse.GetValue(option);

    public T? Value<T>(Argument<T> argument) => parse.GetValue(argument);

    public T Required<T>(Option<T> option) => parse.GetRequiredValue(option);

    public T Required<T>(Argument<T> argument) => parse.GetRequiredValue(argument);

    /// <summary>Within a shell, and names no store of its own.</summary>
    private bool IsOfShell => shell is not null && parse.GetValue(options.Db) is null && parse.GetValue(options.Url) is null;

    /// <summary>Opens the local database or the remote node; once for each session, and for all of a shell.</summary>
    public async Task<IDomainService> OpenAsync()
    {
        if (IsOfShell)
        {
            return await shell!.OpenAsync();
        }

        if (_opened is null)
        {
            _opened = await OpenNewAsync();
        }

        return _opened.Service;
    }

    /// <summary>As <see cref="OpenAsync"/>, for the caller to close.</summary>
    public async Task<OpenedService> OpenNewAsync()
    {
        CheckPassphraseFile();

        if (Node is { } address)
        {
            return Reach(address);
        }

        try
        {
            var local = await LocalService.OpenAsync(Database, Configuration.ToNodeSettings());
            return new(local.Service, local);
        }
        catch (MemoryException exception) when (exception.Kind == ErrorKind.StoreInUse && ServingNote.Find(Database.Store) is { } begun)
        {
            // It began to serve meanwhile.
            return Reach(begun);
        }
    }

    private OpenedService Reach(Uri address)
    {
        var remote = new RemoteMemoryService(address, Configuration.ApiKey);
        return new(remote, remote);
    }

    /// <summary>As <see cref="OpenAsync"/>, for commands that remove what has expired from a local database before they work.</summary>
    public async Task<IDomainService> OpenCollectedAsync()
    {
        var service = await OpenAsync();
        if (service is MemoryNode)
        {
            await service.CollectGarbageAsync();
        }

        return service;
    }

    /// <summary>Gives vectors to the memories of a local database that have none, when a model is configured: a node does so by itself.</summary>
    public async Task EmbedAsync()
    {
        if (IsOfShell)
        {
            await shell!.EmbedAsync();
        }
        else if (_opened?.Owner is LocalService local && Configuration.Models.Embedder is { } model && await local.EmbedAsync() is { } failure)
        {
            Error.WriteLine($"{Invocation.Name}: memories get no vectors from {model}: {failure}");
        }
    }

    /// <summary>What the command reads; a command within a shell has nothing to read, for the shell reads its own lines.</summary>
    public Stream OpenInput() => shell is null
        ? report.OpenInput()
        : throw new MemoryException(ErrorKind.MalformedRequest, "standard input is the shell's own: run the command outside it");

    /// <summary>Tells that no memory has the id.</summary>
    /// <returns>The exit status.</returns>
    public int NotFound(string id)
    {
        Error.WriteLine($"not found: {id}");
        return 1;
    }

    public ValueTask DisposeAsync() => _opened?.DisposeAsync() ?? ValueTask.CompletedTask;

    private static NodeOptions Load(Invocation invocation, Report report)
    {
        var loaded = ConfigurationLoader.Load(ConfigurationSources.OfProcess(invocation.IsAiMemory));
        foreach (var warning in loaded.Warnings)
        {
            report.Error.WriteLine($"{invocation.Name}: {warning}");
        }

        return loaded.Options;
    }

    private void CheckPassphraseFile()
    {
        if (parse.GetValue(options.PassphraseFile) is not { } path)
        {
            return;
        }

        if (File.ReadAllText(path).TrimEnd('\r', '\n').Length == 0)
        {
            throw new MemoryException(ErrorKind.MalformedRequest, $"passphrase file {path} is empty");
        }

        Error.WriteLine("warning: databases are not encrypted; the passphrase is not used");
    }
}

/// <summary>A service, and what closes it.</summary>
internal sealed record OpenedService(IDomainService Service, IAsyncDisposable Owner) : IAsyncDisposable
{
    public ValueTask DisposeAsync() => Owner.DisposeAsync();
}
