using System.Reflection;
using System.Text.Json.Nodes;
using OrleansMemory.Gate.Evidence;
using OrleansMemory.Gate.Verdicts;

namespace OrleansMemory.Gate.Pages;

/// <summary>What the pages have in common: the document around them, and how a verdict, an instant or a table looks.</summary>
internal static class Layout
{
    /// <summary>By this a page is known for one of ours, which may be written anew.</summary>
    public const string Generator = "om gate report";

    private static readonly string Style = ReadStyle();

    /// <param name="isWide">Its table has many columns.</param>
    public static string Document(string title, Html crumb, Html body, bool isWide = false) => Html.Of($"""
        <!DOCTYPE html>
        <html lang="en">
        <head>
        <meta charset="utf-8"/>
        <meta name="viewport" content="width=device-width, initial-scale=1"/>
        <meta name="generator" content="{Generator}"/>
        <meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:"/>
        <link rel="icon" href="data:,"/>
        <title>{title}</title>
        <style>
        """) + Style + Html.Of($"""
        </style>
        </head>
        <body>
        <header{Wide(isWide)}><nav aria-label="Breadcrumb">{crumb}</nav></header>
        <main{Wide(isWide)}>
        {body}
        </main>
        <footer{Wide(isWide)}><p>Written by <code>om gate report</code> from the evidence beside this page, and from nothing else. <code>om gate verify</code> recomputes every verdict from the same evidence.</p></footer>
        </body>
        </html>

        """);

    public static string Word(Verdict verdict) => verdict switch
    {
        Verdict.Pass => "PASS",
        Verdict.Fail => "FAIL",
        Verdict.NotRun => "NOT RUN",
        _ => "HARNESS ERROR",
    };

    public static string Look(Verdict verdict) => verdict switch
    {
        Verdict.Pass => "good",
        Verdict.Fail => "bad",
        Verdict.NotRun => "none",
        _ => "broken",
    };

    /// <summary>Verdicts are told by more than a colour.</summary>
    public static string Sign(Verdict verdict) => verdict switch
    {
        Verdict.Pass => "\u2714",
        Verdict.Fail => "\u2716",
        Verdict.NotRun => "\u2013",
        _ => "!",
    };

    public static Html Badge(Verdict verdict) => Badge(verdict, Word(verdict));

    /// <summary>A badge for a narrow column.</summary>
    public static Html Mark(PhaseStatus status) => status == PhaseStatus.HarnessError ? Badge(Verdict.HarnessError, "ERROR") : Badge(status);

    public static Html Badge(PhaseStatus status) => status switch
    {
        PhaseStatus.Passed => Badge(Verdict.Pass),
        PhaseStatus.Failed => Badge(Verdict.Fail),
        PhaseStatus.HarnessError => Badge(Verdict.HarnessError),
        PhaseStatus.NotReached => Badge(Verdict.NotRun, "NOT REACHED"),
        _ => Badge(Verdict.NotRun),
    };

    public static Html Badge(Verdict verdict, string text) => Html.Of($"""<span class="badge {Look(verdict)}"><span aria-hidden="true">{Sign(verdict)} </span>{text}</span>""");

    /// <summary>An assertion's id, which breaks at its dots only.</summary>
    public static Html Id(string id) => Html.Of($"<code>{Html.Each(id.Split('.').Select(static (part, index) => (Part: part, Index: index)), static each => Html.Of($"{(each.Index > 0 ? Html.Of($".<wbr/>") : Html.Empty)}{each.Part}"))}</code>");

    public static Html Redden(bool isRed) => isRed ? Html.Of($" class=\"red\"") : Html.Empty;

    public static Html Redden(Verdict verdict) => Redden(verdict is Verdict.Fail or Verdict.HarnessError);

    /// <summary>A table that scrolls by itself where it is too wide, and can be reached by keyboard then.</summary>
    /// <param name="columns">Headings; one that ends in a tab is of numbers.</param>
    public static Html Table(string label, IEnumerable<string> columns, Html rows) => Html.Of($"""
        <div class="scroll" role="region" aria-label="{label}" tabindex="0"><table>
        <thead><tr>{Html.Each(columns, static column => column.EndsWith('\t') ? Html.Of($"""<th scope="col" class="number">{column.TrimEnd()}</th>""") : Html.Of($"""<th scope="col">{column}</th>"""))}</tr></thead>
        <tbody>
        {rows}</tbody>
        </table></div>

        """);

    /// <summary>Of details that are shown unfolded.</summary>
    public static Html Open(bool isOpen) => isOpen ? Html.Of($" open=\"\"") : Html.Empty;

    public static Html Problems(string what, IReadOnlyList<string> problems) => problems.Count == 0 ? Html.Empty : Html.Of($"""
        <div class="alarm" role="alert"><strong>{what}</strong>
        <ul>{Html.Each(problems, static problem => Html.Of($"<li>{problem}</li>"))}</ul></div>
        """);

    public static Html Json(string name, JsonNode document, bool link) => Html.Of($"""
        <details><summary>Raw JSON: {name}</summary>
        {(link ? Html.Of($"""<p><a href="{Href(name)}">{name}</a></p>""") : Html.Empty)}
        <pre tabindex="0">{document.ToJsonString(GateJson.Documents)}</pre></details>

        """);

    /// <summary>To a file below the page, whatever its name is.</summary>
    public static string Href(string path) => "./" + string.Join('/', path.Split('/').Select(Uri.EscapeDataString));

    public static Html Instant(DateTimeOffset? instant) => instant is { } at
        ? Html.Of($"""<time datetime="{at.UtcDateTime:yyyy-MM-ddTHH:mm:ssZ}">{at.UtcDateTime:yyyy-MM-dd HH:mm:ss} UTC</time>""")
        : Html.Of($"\u2013");

    /// <summary>To the minute, for a table whose heading says UTC.</summary>
    public static Html Minute(DateTimeOffset? instant) => instant is { } at
        ? Html.Of($"""<time datetime="{at.UtcDateTime:yyyy-MM-ddTHH:mm:ssZ}">{at.UtcDateTime:yyyy-MM-dd HH:mm}</time>""")
        : Html.Of($"\u2013");

    public static string Duration(TimeSpan? span) => span switch
    {
        null => "\u2013",
        { TotalHours: >= 1 } long_ => $"{(int)long_.TotalHours} h {long_.Minutes} min",
        { TotalMinutes: >= 1 } middle => $"{middle.Minutes} min {middle.Seconds} s",
        { } brief => $"{brief.TotalSeconds:0.#} s",
    };

    public static string Milliseconds(decimal milliseconds) => milliseconds switch
    {
        >= 10_000 => $"{milliseconds / 1000:0.0} s",
        >= 1_000 => $"{milliseconds / 1000:0.00} s",
        >= 10 => $"{milliseconds:0} ms",
        _ => $"{milliseconds:0.#} ms",
    };

    public static string Bytes(long bytes) => bytes switch
    {
        >= 1L << 30 => $"{bytes / (double)(1L << 30):0.0} GiB",
        >= 1L << 20 => $"{bytes / (double)(1L << 20):0.0} MiB",
        >= 1L << 10 => $"{bytes / (double)(1L << 10):0.0} KiB",
        _ => $"{bytes} bytes",
    };

    /// <summary>As much of a text as a cell of a wide table takes.</summary>
    public static string Cut(string text)
    {
        const int Most = 60;
        return text.Length <= Most ? text : $"{text[..Most]}...";
    }

    public static string Plural(long count, string noun) => count == 1 ? $"{count:N0} {noun}" : $"{count:N0} {noun}s";

    /// <summary>"a", "a and b", "a, b and c".</summary>
    public static string Listed(IReadOnlyList<string> items) => items.Count <= 1 ? string.Concat(items) : $"{string.Join(", ", items.SkipLast(1))} and {items[^1]}";

    private static Html Wide(bool isWide) => isWide ? Html.Of($" class=\"wide\"") : Html.Empty;

    private static string ReadStyle()
    {
        using var stream = Assembly.GetExecutingAssembly().GetManifestResourceStream("page.css")!;
        using var reader = new StreamReader(stream);
        return reader.ReadToEnd();
    }
}
