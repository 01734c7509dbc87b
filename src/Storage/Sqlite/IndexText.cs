using System.Globalization;
using System.Text;
using OrleansMemory.Core.Recall;

namespace OrleansMemory.Storage.Sqlite;

/// <summary>
/// What the index holds of a memory. A contentless table forgets the text, so a delete must name exactly what the insert did:
/// both take it from here. Any change here needs a new <see cref="SqliteTextIndex.FormatVersion"/>.
/// </summary>
internal readonly record struct IndexText(string Namespace, string Title, string Tags, string Content)
{
    /// <summary>From the columns of <c>memory</c>.</summary>
    public static IndexText Of(string @namespace, string title, string tagsJson, string content) => new(
        Token(@namespace),
        TextQuery.WithoutZeroWidth(title),
        TextQuery.WithoutZeroWidth(string.Join(' ', MemoryRows.ParseTags(tagsJson))),
        TextQuery.WithoutZeroWidth(content));

    /// <summary>One word that stands for a namespace. Two names may share one, so matches are judged by the name again.</summary>
    public static string Token(string @namespace)
    {
        // FNV-1a, 64 bits.
        var hash = 14_695_981_039_346_656_037UL;
        foreach (var part in Encoding.UTF8.GetBytes(@namespace))
        {
            hash = (hash ^ part) * 1_099_511_628_211UL;
        }

        return string.Create(CultureInfo.InvariantCulture, $"ns{hash:x16}");
    }

    /// <summary>The FTS5 query and the place of its first word among its phrases.</summary>
    public static (string Match, int FirstPhrase) Pattern(TextScan scan)
    {
        var match = new StringBuilder();
        var phrases = 0;
        if (scan.Namespace is { } name)
        {
            match.Append(Token(name)).Append(" AND ");
            phrases++;
        }

        if (scan.Required.Count > 0)
        {
            // The words asked for come twice: the first group selects, the second makes the others report too.
            Append(match, scan.Required.Select(word => scan.Words[word]), " OR ");
            match.Append(" AND ");
            phrases += scan.Required.Count;
        }

        Append(match, scan.Words, scan.Mode == MatchMode.All && scan.Required.Count == 0 ? " AND " : " OR ");
        return (match.ToString(), phrases);
    }

    /// <summary>A word as an FTS5 string: nothing in it is syntax.</summary>
    public static string Quoted(string word) => $"\"{word.Replace("\"", "\"\"", StringComparison.Ordinal)}\"";

    private static void Append(StringBuilder match, IEnumerable<string> words, string between) =>
        match.Append('(').AppendJoin(between, words.Select(Quoted)).Append(')');
}
