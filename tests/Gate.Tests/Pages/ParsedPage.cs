using System.Xml;
using System.Xml.Linq;

namespace OrleansMemory.Gate.Tests.Pages;

/// <summary>A page as a reader has it: headings, rows and texts. The pages are well-formed XML, and what is not does not parse.</summary>
internal sealed class ParsedPage
{
    private readonly XElement _root;

    public ParsedPage(string path)
    {
        Folder = Path.GetDirectoryName(path)!;
        using var reader = XmlReader.Create(path, new() { DtdProcessing = DtdProcessing.Ignore });
        _root = XElement.Load(reader);
    }

    public string Folder { get; }

    public string Text => TextOf(_root.Element("body")!);

    public string Title => _root.Descendants("title").First().Value;

    public string Alarm => string.Join(" ", _root.Descendants().Where(static each => (string?)each.Attribute("role") == "alert").Select(TextOf));

    public IEnumerable<XElement> Elements(string name) => _root.Descendants(name);

    /// <summary>The text of the first heading that begins so.</summary>
    public string Heading(string start) =>
        _root.Descendants().Where(static each => each.Name.LocalName is "h1" or "h2" or "h3").Select(TextOf).First(text => text.StartsWith(start, StringComparison.Ordinal));

    /// <summary>The cells of each row whose first cell says just this.</summary>
    public IReadOnlyList<IReadOnlyList<string>> Rows(string first) =>
        [.. _root.Descendants("tr").Select(static row => (IReadOnlyList<string>)[.. row.Elements().Select(TextOf)]).Where(cells => cells[0] == first)];

    /// <summary>First cells of the rows of the first table, without its heading.</summary>
    public IReadOnlyList<string> FirstColumn() => [.. _root.Descendants("tbody").First().Elements("tr").Select(static row => TextOf(row.Elements().First()))];

    public string Fact(string name) => TextOf(_root.Descendants("dt").First(term => term.Value == name).ElementsAfterSelf("dd").First());

    /// <summary>Text with its white space as a browser shows it.</summary>
    public static string TextOf(XElement element) => string.Join(' ', string.Concat(element.DescendantNodes().Select(static node => node switch
    {
        XText text => text.Value,
        XElement { Name.LocalName: "br" or "p" or "li" or "h3" or "h4" or "td" or "th" or "tr" or "dt" or "dd" or "details" or "summary" } => " ",
        _ => "",
    })).Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));
}
