using OrleansMemory.Core.Memories;

namespace OrleansMemory.Cli;

/// <summary>
/// The namespace of a memory that names none: the name of the project one stands in. Last path part of the git remote
/// <c>origin</c> without <c>.git</c>, else the name of the working directory, else <c>global</c>. Characters that a namespace may
/// not hold become hyphens.
/// </summary>
internal static class DefaultNamespace
{
    public static string Resolve(string directory)
    {
        var name = OriginUrl(directory) is { } url ? LastPart(url) : "";
        if (name.Length == 0)
        {
            name = Path.GetFileName(Path.TrimEndingDirectorySeparator(directory));
        }

        var clean = string.Concat(name.Trim().Select(character => char.IsControl(character) || character is ' ' or '\\' or '/' ? '-' : character));
        return clean is "" or "." or ".." ? ClosedSets.DefaultNamespace : clean;
    }

    private static string LastPart(string url)
    {
        var path = url.TrimEnd('/');
        var name = path[(path.LastIndexOfAny(['/', ':', '\\']) + 1)..];
        return name.EndsWith(".git", StringComparison.Ordinal) ? name[..^4] : name;
    }

    /// <summary>Reads the repository's configuration itself: starting git would double the time of a store.</summary>
    private static string? OriginUrl(string directory)
    {
        try
        {
            return ConfigFile(directory) is { } config ? OriginUrl(File.ReadLines(config)) : null;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    private static string? ConfigFile(string directory)
    {
        for (var at = new DirectoryInfo(directory); at is not null; at = at.Parent)
        {
            var dot = Path.Combine(at.FullName, ".git");
            if (Directory.Exists(dot))
            {
                return Existing(dot);
            }

            if (File.Exists(dot))
            {
                return LinkedConfig(at.FullName, dot);
            }
        }

        return null;
    }

    /// <summary>A work tree or submodule: <c>.git</c> is a file that names the real folder, which may share another's configuration.</summary>
    private static string? LinkedConfig(string directory, string file)
    {
        const string Key = "gitdir:";
        var line = File.ReadLines(file).FirstOrDefault();
        if (line is null || !line.StartsWith(Key, StringComparison.Ordinal))
        {
            return null;
        }

        var folder = Path.GetFullPath(line[Key.Length..].Trim(), directory);
        var common = Path.Combine(folder, "commondir");
        return Existing(File.Exists(common) ? Path.GetFullPath(File.ReadAllText(common).Trim(), folder) : folder);
    }

    private static string? Existing(string folder)
    {
        var config = Path.Combine(folder, "config");
        return File.Exists(config) ? config : null;
    }

    private static string? OriginUrl(IEnumerable<string> lines)
    {
        var inside = false;
        foreach (var raw in lines)
        {
            var line = raw.Trim();
            if (line.StartsWith('['))
            {
                inside = line == "[remote \"origin\"]";
                continue;
            }

            var equals = line.IndexOf('=', StringComparison.Ordinal);
            if (inside && equals > 0 && line[..equals].Trim().Equals("url", StringComparison.OrdinalIgnoreCase))
            {
                return line[(equals + 1)..].Trim().Trim('"');
            }
        }

        return null;
    }
}
