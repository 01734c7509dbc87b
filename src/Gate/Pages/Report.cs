using OrleansMemory.Gate.Evidence;
using OrleansMemory.Gate.Soaks;

namespace OrleansMemory.Gate.Pages;

/// <summary>Writes the pages of runs. They tell what the evidence gives each time anew; nothing is kept beside it.</summary>
public static class Report
{
    /// <summary>Writes <c>index.html</c> of a run, and the table of runs or the page of the soak in the folder above when that is of runs.</summary>
    /// <param name="folder">A run's; or one that holds runs, or a soak: then only their page is written.</param>
    /// <returns>The pages that were written.</returns>
    /// <exception cref="GateException">There is neither a run nor a folder of runs, a page there is not of the gate, or <c>insights.json</c> is not what it should be.</exception>
    public static IReadOnlyList<string> Write(string folder)
    {
        var path = Path.TrimEndingDirectorySeparator(Path.GetFullPath(folder));
        if (!Directory.Exists(path))
        {
            throw new GateException($"{folder} is no folder");
        }

        var evidence = new EvidenceFolder(path);
        if (SoakState.IsIn(path) || (!evidence.Exists(EvidenceFolder.PlanName) && Directory.EnumerateDirectories(path).Any(IsRun)))
        {
            return [WriteTable(path)];
        }

        var insights = Insights.Read(EvidenceFolder.Open(path));
        var above = Path.GetDirectoryName(path);
        var hasTable = above is not null && HoldsRuns(above);
        evidence.WriteText(EvidenceFolder.PageName, new RunPage(RunFolder.Read(path), insights, hasTable).Write());
        string[] pages = [evidence.Combine(EvidenceFolder.PageName)];
        return hasTable ? [.. pages, WriteTable(above!)] : pages;
    }

    /// <summary>Writes <c>index.html</c> of a folder that holds runs. Every folder in it is a row; one that is empty or damaged is a red one. That of a soak shows its runs over time.</summary>
    /// <exception cref="GateException">There is no such folder, or its <c>index.html</c> is not of the gate.</exception>
    public static string WriteTable(string runsFolder)
    {
        var path = Path.TrimEndingDirectorySeparator(Path.GetFullPath(runsFolder));
        if (!Directory.Exists(path))
        {
            throw new GateException($"{runsFolder} is no folder");
        }

        var page = Path.Combine(path, EvidenceFolder.PageName);
        if (File.Exists(page) && !IsOurs(page))
        {
            throw new GateException($"{page} is not a page of the gate: move it away, or name another folder");
        }

        if (SoakState.IsIn(path))
        {
            var state = SoakState.Read(path);
            return TrendPage.Write(path, state, SoakRow.Of(path, state, TimeProvider.System.GetUtcNow()));
        }

        var runs = Folders(path).AsParallel().AsOrdered().Select(RunFolder.Read).ToList();
        new EvidenceFolder(path).WriteText(EvidenceFolder.PageName, RunsTable.Write(Path.GetFileName(path), runs));
        return page;
    }

    /// <summary>It holds runs and nothing else, so that a table of them is in nobody's way.</summary>
    private static bool HoldsRuns(string folder)
    {
        var page = Path.Combine(folder, EvidenceFolder.PageName);
        return File.Exists(page) ? IsOurs(page) : Folders(folder).All(static each => IsRun(each) || !Directory.EnumerateFileSystemEntries(each).Any());
    }

    private static bool IsRun(string folder) =>
        ((string[])[EvidenceFolder.PlanName, EvidenceFolder.SummaryName, EvidenceFolder.ManifestName]).Any(name => File.Exists(Path.Combine(folder, name)));

    private static bool IsOurs(string page) => File.ReadAllText(page).Contains($"""<meta name="generator" content="{Layout.Generator}"/>""", StringComparison.Ordinal);

    private static IEnumerable<string> Folders(string folder) =>
        Directory.EnumerateDirectories(folder).Where(static each => !Path.GetFileName(each).StartsWith('.')).Order(StringComparer.Ordinal);
}
