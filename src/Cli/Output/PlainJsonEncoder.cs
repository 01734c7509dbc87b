using System.Text;
using System.Text.Encodings.Web;

namespace OrleansMemory.Cli.Output;

/// <summary>
/// Escapes what JSON demands (quote, backslash, controls below U+0020) and nothing else, so that text reaches a script as it was
/// stored. Not for output that lands inside HTML.
/// </summary>
internal sealed class PlainJsonEncoder : JavaScriptEncoder
{
    public static readonly PlainJsonEncoder Instance = new();

    public override int MaxOutputCharactersPerInputCharacter => 6;

    public override bool WillEncode(int unicodeScalar) => unicodeScalar is < 0x20 or '"' or '\\';

    public override unsafe int FindFirstCharacterToEncode(char* text, int textLength)
    {
        var span = new ReadOnlySpan<char>(text, textLength);
        for (var index = 0; index < span.Length; index++)
        {
            var character = span[index];
            if (WillEncode(character))
            {
                return index;
            }

            // A lone surrogate is no scalar; the base class writes the replacement character for it.
            if (char.IsSurrogate(character))
            {
                if (!Rune.TryGetRuneAt(new string(span.Slice(index, Math.Min(2, span.Length - index))), 0, out _))
                {
                    return index;
                }

                index++;
            }
        }

        return -1;
    }

    public override unsafe bool TryEncodeUnicodeScalar(int unicodeScalar, char* buffer, int bufferLength, out int numberOfCharactersWritten)
    {
        var escaped = unicodeScalar switch
        {
            '"' => "\\\"",
            '\\' => @"\\",
            '\b' => "\\b",
            '\t' => "\\t",
            '\n' => "\\n",
            '\f' => "\\f",
            '\r' => "\\r",
            < 0x20 => $"\\u{unicodeScalar:x4}",
            _ => new Rune(unicodeScalar).ToString(),
        };
        var fits = escaped.AsSpan().TryCopyTo(new Span<char>(buffer, bufferLength));
        numberOfCharactersWritten = fits ? escaped.Length : 0;
        return fits;
    }
}
