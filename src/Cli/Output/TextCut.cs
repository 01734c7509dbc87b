using System.Text;

namespace OrleansMemory.Cli.Output;

/// <summary>Cuts text to a number of bytes, never inside a character.</summary>
internal static class TextCut
{
    /// <returns>The longest start of the text that has at most so many bytes in UTF-8.</returns>
    public static string Bytes(string text, int most)
    {
        if (Encoding.UTF8.GetByteCount(text) <= most)
        {
            return text;
        }

        var (length, bytes) = (0, 0);
        foreach (var rune in text.EnumerateRunes())
        {
            bytes += rune.Utf8SequenceLength;
            if (bytes > most)
            {
                break;
            }

            length += rune.Utf16SequenceLength;
        }

        return text[..length];
    }
}
