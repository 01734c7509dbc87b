using System.Text.Json;
using System.Text.RegularExpressions;

namespace OrleansMemory.Api.Tests;

/// <summary>The page that classes every public operation leaves none out and names none that is not there.</summary>
public sealed partial class ConsistencyPageTests
{
    [Fact]
    public void Every_operation_is_classed_once()
    {
        var docs = Path.Combine(FindRoot(), "docs");
        using var document = JsonDocument.Parse(File.ReadAllText(Path.Combine(docs, "openapi.json")));
        var routes = document.RootElement.GetProperty("paths").EnumerateObject()
            .SelectMany(path => path.Value.EnumerateObject().Select(method => $"{method.Name.ToUpperInvariant()} {path.Name}"))
            .Order(StringComparer.Ordinal);
        var text = File.ReadAllText(Path.Combine(docs, "consistency.md"));
        var classes = ClassRow().Matches(text).Select(match => match.Groups["class"].Value).ToHashSet();
        var rows = OperationRow().Matches(text);
        Assert.Equal(routes, rows.Select(match => match.Groups["operation"].Value).Order(StringComparer.Ordinal));
        Assert.All(rows, row => Assert.Contains(row.Groups["class"].Value, classes));
    }

    [GeneratedRegex(@"^\| \*\*(?<class>.+?)\*\* \|", RegexOptions.Multiline, matchTimeoutMilliseconds: 1_000)]
    private static partial Regex ClassRow();

    [GeneratedRegex(@"^\| `(?<operation>[A-Z]+ /\S*)` \| (?<class>.+?) \|", RegexOptions.Multiline, matchTimeoutMilliseconds: 1_000)]
    private static partial Regex OperationRow();

    internal static string FindRoot()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(folder.FullName, "OrleansMemory.sln")))
        {
            folder = folder.Parent ?? throw new InvalidOperationException("the tests run outside the repository");
        }

        return folder.FullName;
    }
}
