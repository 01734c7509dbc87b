using System.Text;

namespace OrleansMemory.Compliance;

/// <summary>How something compares with ai-memory 0.6.0.</summary>
public enum Verdict
{
    /// <summary>A caller sees what it saw there; what is more than that is not counted.</summary>
    Same,

    /// <summary>As there, and a known defect of it is done right.</summary>
    Better,

    /// <summary>Something that a caller relied on is otherwise.</summary>
    Different,

    /// <summary>Not served.</summary>
    Missing,
}

/// <param name="Name">A route, a command, a variable: as a reader would type it.</param>
/// <param name="Why">For a reader of the page.</param>
public sealed record ComparedRow(string Name, Verdict Verdict, string Why);

/// <summary>
/// docs/compatibility.md: each suite that compares something holds its own sections to what its checks show, or, with
/// <c>OM_UPDATE_COMPATIBILITY=1</c>, writes them. What stands before the first section is written by hand.
/// </summary>
public static class CompatibilityPage
{
    private static readonly SemaphoreSlim OneAtATime = new(1);

    /// <param name="title">Of the section; one that is not there yet is written at the end.</param>
    /// <param name="column">What the rows are.</param>
    public static async Task HoldAsync(string title, string column, IEnumerable<ComparedRow> rows)
    {
        var path = Path.Combine(Root(), "docs", "compatibility.md");
        var section = Section(title, column, rows);
        await OneAtATime.WaitAsync();
        try
        {
            var page = await File.ReadAllTextAsync(path);
            if (Environment.GetEnvironmentVariable("OM_UPDATE_COMPATIBILITY") == "1")
            {
                page = Replace(page, title, section);
                await File.WriteAllTextAsync(path, page);
            }

            Assert.Contains(section, page, StringComparison.Ordinal);
        }
        finally
        {
            OneAtATime.Release();
        }
    }

    private static string Section(string title, string column, IEnumerable<ComparedRow> rows)
    {
        var text = new StringBuilder($"## {title}\n\n| {column} | | |\n|---|---|---|\n");
        foreach (var row in rows)
        {
            text.Append("| `").Append(row.Name.Replace("|", "\\|", StringComparison.Ordinal)).Append("` | ").Append(row.Verdict.ToString().ToLowerInvariant()).Append(" | ").Append(row.Why).Append(" |\n");
        }

        return text.ToString();
    }

    private static string Replace(string page, string title, string section)
    {
        var start = page.IndexOf($"## {title}\n", StringComparison.Ordinal);
        if (start < 0)
        {
            return $"{page.TrimEnd('\n')}\n\n{section}";
        }

        var next = page.IndexOf("\n## ", start + 1, StringComparison.Ordinal);
        return next < 0 ? page[..start] + section : $"{page[..start]}{section}{page[next..]}";
    }

    private static string Root()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(folder.FullName, "OrleansMemory.sln")))
        {
            folder = folder.Parent ?? throw new InvalidOperationException("the tests run outside the repository");
        }

        return folder.FullName;
    }
}
