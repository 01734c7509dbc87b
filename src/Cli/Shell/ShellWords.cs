using System.Text;

namespace OrleansMemory.Cli.Shell;

/// <summary>Parts a line at its blanks. A quote at the beginning of a word keeps blanks in it, up to the next one of its kind; elsewhere it is a character like any other.</summary>
internal static class ShellWords
{
    public static List<string> Of(string line)
    {
        var words = new List<string>();
        for (var at = 0; at < line.Length;)
        {
            if (char.IsWhiteSpace(line[at]))
            {
                at++;
                continue;
            }

            if (line[at] is '"' or '\'' && Closing(line, at) is var end and > 0)
            {
                words.Add(Unquoted(line, at, end));
                at = end + 1;
                continue;
            }

            var start = at;
            while (at < line.Length && !char.IsWhiteSpace(line[at]))
            {
                at++;
            }

            words.Add(line[start..at]);
        }

        return words;
    }

    /// <summary>Where a quoted word ends; -1: it has no end, or goes on behind it, so it was no quote.</summary>
    private static int Closing(string line, int start)
    {
        for (var at = start + 1; at < line.Length; at++)
        {
            if (line[at] == '\\' && line[start] == '"')
            {
                at++;
            }
            else if (line[at] == line[start])
            {
                return at + 1 == line.Length || char.IsWhiteSpace(line[at + 1]) ? at : -1;
            }
        }

        return -1;
    }

    /// <summary>In double quotes a backslash keeps a quote or a backslash, and <c>\n</c> is a line end.</summary>
    private static string Unquoted(string line, int start, int end)
    {
        if (line[start] == '\'')
        {
            return line[(start + 1)..end];
        }

        var word = new StringBuilder();
        for (var at = start + 1; at < end; at++)
        {
            if (line[at] == '\\' && at + 1 < end && line[at + 1] is ('"' or '\\' or 'n'))
            {
                word.Append(line[++at] == 'n' ? '\n' : line[at]);
            }
            else
            {
                word.Append(line[at]);
            }
        }

        return word.ToString();
    }
}
