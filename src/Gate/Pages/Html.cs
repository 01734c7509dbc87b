using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.RegularExpressions;
using System.Text.Unicode;

namespace OrleansMemory.Gate.Pages;

/// <summary>Markup that is safe to show: made of literals, and of values that are encoded as they are put in. It is well-formed XML too.</summary>
internal readonly record struct Html
{
    private static readonly HtmlEncoder Encoder = HtmlEncoder.Create(UnicodeRanges.All);

    /// <summary>Of a URL, and of a connection string.</summary>
    private static readonly Regex Passwords = new(
        """(?<name>://[^\s:/@"]*:)[^\s"]*(?<end>@)|(?<name>\b(password|pwd)\s*=\s*)[^;\s"]+""",
        RegexOptions.IgnoreCase | RegexOptions.ExplicitCapture | RegexOptions.NonBacktracking);

    private readonly string? _markup;

    private Html(string markup) => _markup = markup;

    public static Html Empty => default;

    /// <summary><c>Html.Of($"...{value}...")</c>: values are encoded, unless they are markup themselves.</summary>
    public static Html Of(Handler markup) => new(markup.ToString());

    public static Html Each<T>(IEnumerable<T> items, Func<T, Html> show) => new(string.Concat(items.Select(item => show(item)._markup)));

    public override string ToString() => _markup ?? "";

    private static string Encode(string text)
    {
        var visible = text.AsSpan().ContainsAnyInRange('\0', '\u001f') || text.Contains('\u007f')
            ? string.Concat(text.Select(static character => char.IsControl(character) && character is not ('\n' or '\t') ? '\ufffd' : character))
            : text;
        return Encoder.Encode(Passwords.Replace(visible, "${name}***${end}"));
    }

    [InterpolatedStringHandler]
    internal readonly struct Handler(int literalLength, int formattedCount)
    {
        private const int GuessedLength = 16;

        private readonly StringBuilder _built = new(literalLength + (formattedCount * GuessedLength));

        public void AppendLiteral(string markup) => _built.Append(markup);

        public void AppendFormatted(Html markup) => _built.Append(markup._markup);

        public void AppendFormatted(string? text) => _built.Append(text is null ? null : Encode(text));

        public void AppendFormatted<T>(T value, string? format = null)
            where T : IFormattable => _built.Append(Encode(value.ToString(format, null)));

        public override string ToString() => _built.ToString();
    }
}
