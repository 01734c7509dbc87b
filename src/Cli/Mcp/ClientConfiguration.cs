using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using OrleansMemory.Api.Configuration;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Cli.Mcp;

/// <summary>How a client program is told of a server: where, and in which words.</summary>
/// <param name="Path">The file of the user.</param>
/// <param name="Section">The name under which the file keeps its servers.</param>
internal sealed record ClientProgram(string Name, string Path, string Section, bool IsToml = false, bool NamesTransport = false)
{
    public const string Names = "claude, cursor, vscode or codex";

    /// <returns>Null: it is not known.</returns>
    public static ClientProgram? Find(string name)
    {
        var home = Environment.GetFolderPath(Environment.SpecialFolder.UserProfile, Environment.SpecialFolderOption.DoNotVerify);
        return name switch
        {
            "claude" => new(name, System.IO.Path.Combine(home, ".claude.json"), "mcpServers", NamesTransport: true),
            "cursor" => new(name, System.IO.Path.Combine(home, ".cursor", "mcp.json"), "mcpServers"),
            "vscode" => new(name, System.IO.Path.Combine(Settings(home), "Code", "User", "mcp.json"), "servers", NamesTransport: true),
            "codex" => new(name, System.IO.Path.Combine(Environment.GetEnvironmentVariable("CODEX_HOME") is { Length: > 0 } codex ? codex : System.IO.Path.Combine(home, ".codex"), "config.toml"), "mcp_servers", IsToml: true),
            _ => null,
        };
    }

    private static string Settings(string home) => OperatingSystem.IsMacOS()
        ? System.IO.Path.Combine(home, "Library", "Application Support")
        : Environment.GetFolderPath(Environment.SpecialFolder.ApplicationData, Environment.SpecialFolderOption.DoNotVerify);
}

/// <summary>The entry that tells a client how to start the server.</summary>
internal sealed record ServerEntry(string Name, string Command, IReadOnlyList<string> Arguments);

/// <summary>What a file will hold.</summary>
/// <param name="Text">The whole file.</param>
/// <param name="Shown">The part that is new.</param>
/// <param name="Replaces">It held another entry of that name.</param>
/// <param name="Changes">False: it holds the entry already.</param>
internal sealed record ConfigurationChange(string Text, string Shown, bool Replaces, bool Changes);

/// <summary>Puts an entry into a client's file and leaves all else in it as it was. A file that cannot be read is refused.</summary>
internal static class ClientConfiguration
{
    private static readonly JsonSerializerOptions Written = new() { WriteIndented = true, NewLine = "\n", Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <param name="text">Of the file; null: there is none.</param>
    /// <exception cref="MemoryException"><see cref="ErrorKind.MalformedRequest"/>: the file cannot be read; nothing may be changed.</exception>
    public static ConfigurationChange Add(ClientProgram client, ServerEntry entry, string? text) => client.IsToml ? AddToml(client, entry, text ?? "") : AddJson(client, entry, text);

    /// <summary>The file is there as a whole, or as it was.</summary>
    public static void Write(string path, string text)
    {
        // Through a link, so that it stays one.
        var target = File.Exists(path) ? File.ResolveLinkTarget(path, returnFinalTarget: true)?.FullName ?? path : path;
        Directory.CreateDirectory(System.IO.Path.GetDirectoryName(target)!);
        var temporary = $"{target}.{Environment.ProcessId}.tmp";
        try
        {
            if (!OperatingSystem.IsWindows())
            {
                // Some of these files hold keys.
                var mode = File.Exists(target) ? File.GetUnixFileMode(target) : UnixFileMode.UserRead | UnixFileMode.UserWrite;
                using var made = new FileStream(temporary, new FileStreamOptions { Mode = FileMode.Create, Access = FileAccess.Write, UnixCreateMode = mode });
            }

            File.WriteAllText(temporary, text);
            File.Move(temporary, target, overwrite: true);
        }
        finally
        {
            File.Delete(temporary);
        }
    }

    private static ConfigurationChange AddJson(ClientProgram client, ServerEntry entry, string? text)
    {
        var root = Parse(client, text);
        if (root[client.Section] is not (null or JsonObject))
        {
            throw Refused(client, $"{client.Section} is not an object");
        }

        var servers = root[client.Section] as JsonObject ?? [];
        root[client.Section] = servers;
        var wanted = new JsonObject();
        if (client.NamesTransport)
        {
            wanted["type"] = "stdio";
        }

        wanted["command"] = entry.Command;
        wanted["args"] = new JsonArray([.. entry.Arguments.Select(static argument => (JsonNode)argument)]);
        var held = servers[entry.Name];
        var same = JsonNode.DeepEquals(held, wanted);
        servers[entry.Name] = wanted;
        var shown = new JsonObject { [client.Section] = new JsonObject { [entry.Name] = wanted.DeepClone() } };
        return new(same && text is not null ? text : root.ToJsonString(Written) + "\n", shown.ToJsonString(Written), held is not null, !same);
    }

    private static JsonObject Parse(ClientProgram client, string? text)
    {
        if (string.IsNullOrWhiteSpace(text))
        {
            return [];
        }

        try
        {
            var root = JsonNode.Parse(text, documentOptions: new() { AllowDuplicateProperties = false }) as JsonObject ?? throw Refused(client, "it is not a JSON object");

            // Duplicate names come to light when they are looked for.
            _ = root.Count;
            return root;
        }
        catch (Exception exception) when (exception is JsonException or ArgumentException)
        {
            throw Refused(client, $"it is not JSON without comments: {exception.Message}", exception);
        }
    }

    private static ConfigurationChange AddToml(ClientProgram client, ServerEntry entry, string text)
    {
        var before = ParseToml(client, text);
        var prefix = $"{client.Section}.{entry.Name}.";
        var section = $"""
            [{client.Section}.{entry.Name}]
            command = {Quoted(entry.Command)}
            args = [{string.Join(", ", entry.Arguments.Select(Quoted))}]

            """.ReplaceLineEndings("\n");
        var held = before.Keys.Any(key => key.StartsWith(prefix, StringComparison.Ordinal));
        if (held && before.TryGetValue(prefix + "command", out var command) && command is string known && known == entry.Command
            && before.TryGetValue(prefix + "args", out var arguments) && arguments is IEnumerable<object> list && list.SequenceEqual(entry.Arguments))
        {
            return new(text, section, Replaces: true, Changes: false);
        }

        var changed = held ? Replace(text, $"[{client.Section}.{entry.Name}]", section) : Append(text, section);

        // What the text became is read again: nothing but the entry may differ.
        var after = changed is null ? null : ParseToml(client, changed);
        var expected = before.Where(pair => !pair.Key.StartsWith(prefix, StringComparison.Ordinal)).ToDictionary(StringComparer.Ordinal);
        if (after is null || !Equal(expected, after.Where(pair => !pair.Key.StartsWith(prefix, StringComparison.Ordinal)).ToDictionary(StringComparer.Ordinal)))
        {
            throw Refused(client, $"its entry {entry.Name} cannot be replaced: take it out and try again");
        }

        return new(changed!, section, held, Changes: true);
    }

    private static string Append(string text, string section) => text.Length == 0 ? section : text.TrimEnd('\n') + "\n\n" + section;

    /// <summary>From the header of the table to that of the next; null: it has none of its own.</summary>
    private static string? Replace(string text, string header, string section)
    {
        var lines = text.Split('\n').ToList();
        var start = lines.FindIndex(line => line.Trim() == header);
        if (start < 0)
        {
            return null;
        }

        var end = lines.FindIndex(start + 1, static line => line.TrimStart().StartsWith('['));
        lines.RemoveRange(start, (end < 0 ? lines.Count : end) - start);
        lines.InsertRange(start, end < 0 ? section.TrimEnd('\n').Split('\n').Append("") : section.Split('\n'));
        return string.Join('\n', lines);
    }

    private static IReadOnlyDictionary<string, object> ParseToml(ClientProgram client, string text)
    {
        try
        {
            return TomlDocument.Parse(text).Values;
        }
        catch (TomlException exception)
        {
            throw Refused(client, $"it is not TOML: {exception.Message}", exception);
        }
    }

    private static bool Equal(IReadOnlyDictionary<string, object> one, IReadOnlyDictionary<string, object> other) =>
        one.Count == other.Count && one.All(pair => other.TryGetValue(pair.Key, out var value) && Equal(pair.Value, value));

    private static bool Equal(object one, object other) => one is IEnumerable<object> list && other is IEnumerable<object> others
        ? list.Zip(others).All(static pair => Equal(pair.First, pair.Second)) && list.Count() == others.Count()
        : one.Equals(other);

    /// <summary>A basic string of TOML takes the escapes of JSON.</summary>
    private static string Quoted(string text) => JsonSerializer.Serialize(text, Written);

    private static MemoryException Refused(ClientProgram client, string why, Exception? inner = null) =>
        new(ErrorKind.MalformedRequest, $"{client.Path} was left as it is: {why}", inner);
}
