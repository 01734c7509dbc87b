using System.Globalization;
using System.Text;

namespace OrleansMemory.Api.Configuration;

/// <summary>A configuration file that cannot be read. The text names the line.</summary>
public sealed class TomlException(int line, string reason) : FormatException($"line {line.ToString(CultureInfo.InvariantCulture)}: {reason}");

/// <summary>
/// Reads TOML into one flat table with dotted keys (<c>ttl.short_ttl_secs</c>). Values are <see cref="string"/>,
/// <see cref="long"/>, <see cref="double"/>, <see cref="bool"/> or a list of them; dates are kept as their text, and tables in
/// arrays get their index as a part of the key (<c>peer.0.url</c>).
/// </summary>
public sealed class TomlDocument
{
    private const int MaxDepth = 32;

    private readonly Dictionary<string, object> _values = new(StringComparer.Ordinal);
    private readonly Dictionary<string, int> _arrays = new(StringComparer.Ordinal);
    private readonly string _text;
    private int _at;
    private int _line = 1;

    private TomlDocument(string text) => _text = text;

    /// <summary>Every key with its value.</summary>
    public IReadOnlyDictionary<string, object> Values => _values;

    /// <exception cref="TomlException"/>
    public static TomlDocument Parse(string text)
    {
        var document = new TomlDocument(text);
        document.ReadAll();
        return document;
    }

    private char Current => _at < _text.Length ? _text[_at] : '\0';

    private void ReadAll()
    {
        var table = "";
        while (true)
        {
            SkipBlankLines();
            if (_at >= _text.Length)
            {
                return;
            }

            if (Current == '[')
            {
                table = ReadHeader();
            }
            else
            {
                ReadPair(table, 0);
            }

            EndLine();
        }
    }

    private string ReadHeader()
    {
        _at++;
        var isArray = Current == '[';
        _at += isArray ? 1 : 0;
        var key = ReadKey();
        if (!_text.AsSpan(_at).StartsWith(isArray ? "]]" : "]"))
        {
            throw Error(isArray ? "expected ']]' after the name of the table" : "expected ']' after the name of the table");
        }

        _at += isArray ? 2 : 1;
        if (isArray)
        {
            var index = _arrays.GetValueOrDefault(key);
            _arrays[key] = index + 1;
            key = string.Create(CultureInfo.InvariantCulture, $"{key}.{index}");
        }

        return key + ".";
    }

    private void ReadPair(string table, int depth)
    {
        var key = table + ReadKey();
        if (Current != '=')
        {
            throw Error($"expected '=' after the key {key}");
        }

        _at++;
        SkipBlanks();
        if (Current == '{')
        {
            ReadInlineTable(key + ".", depth + 1);
        }
        else if (!_values.TryAdd(key, ReadValue(depth)))
        {
            throw Error($"{key} is given twice");
        }
    }

    private string ReadKey()
    {
        var key = new StringBuilder();
        while (true)
        {
            SkipBlanks();
            if (Current is '"' or '\'')
            {
                key.Append(ReadString());
            }
            else
            {
                var start = _at;
                while (char.IsAsciiLetterOrDigit(Current) || Current is '_' or '-')
                {
                    _at++;
                }

                if (_at == start)
                {
                    throw Error("expected a key");
                }

                key.Append(_text, start, _at - start);
            }

            SkipBlanks();
            if (Current != '.')
            {
                return key.ToString();
            }

            key.Append('.');
            _at++;
        }
    }

    private object ReadValue(int depth)
    {
        if (depth > MaxDepth)
        {
            throw Error("nested too deep");
        }

        if (Current is '"' or '\'')
        {
            return ReadString();
        }

        if (Current == '[')
        {
            return ReadArray(depth + 1);
        }

        var start = _at;
        while (_at < _text.Length && Current is not (',' or ']' or '}' or '#' or '\n' or '\r'))
        {
            _at++;
        }

        return Scalar(_text[start.._at].Trim());
    }

    private List<object> ReadArray(int depth)
    {
        var items = new List<object>();
        _at++;
        while (true)
        {
            SkipBlankLines();
            if (Current == ']')
            {
                _at++;
                return items;
            }

            if (_at >= _text.Length)
            {
                throw Error("the array has no end");
            }

            if (Current == '{')
            {
                throw Error("tables inside arrays are not supported; use [[name]]");
            }

            items.Add(ReadValue(depth));
            SkipBlankLines();
            if (Current == ',')
            {
                _at++;
            }
            else if (Current != ']')
            {
                throw Error("expected ',' or ']' in the array");
            }
        }
    }

    private void ReadInlineTable(string table, int depth)
    {
        if (depth > MaxDepth)
        {
            throw Error("nested too deep");
        }

        _at++;
        SkipBlanks();
        if (Current == '}')
        {
            _at++;
            return;
        }

        while (true)
        {
            ReadPair(table, depth);
            SkipBlanks();
            switch (Current)
            {
                case ',':
                    _at++;
                    break;
                case '}':
                    _at++;
                    return;
                default:
                    throw Error("expected ',' or '}' in the table");
            }
        }
    }

    private object Scalar(string text)
    {
        switch (text)
        {
            case "":
                throw Error("expected a value");
            case "true":
                return true;
            case "false":
                return false;
            case "inf" or "+inf":
                return double.PositiveInfinity;
            case "-inf":
                return double.NegativeInfinity;
            case "nan" or "+nan" or "-nan":
                return double.NaN;
            default:
                break;
        }

        var digits = text.Replace("_", "", StringComparison.Ordinal);
        if (long.TryParse(digits, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var integer))
        {
            return integer;
        }

        if (digits.StartsWith("0x", StringComparison.Ordinal) && long.TryParse(digits.AsSpan(2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var hex))
        {
            return hex;
        }

        if (double.TryParse(digits, NumberStyles.AllowLeadingSign | NumberStyles.AllowDecimalPoint | NumberStyles.AllowExponent, CultureInfo.InvariantCulture, out var number))
        {
            return number;
        }

        // A date or a time begins with digits and a separator.
        return text.Length >= 8 && char.IsAsciiDigit(text[0]) && (text[2] == ':' || text[4] == '-')
            ? text
            : throw Error($"{text} is not a value; text needs quotes");
    }

    private string ReadString()
    {
        var quote = Current;
        if (_text.AsSpan(_at).StartsWith(new string(quote, 3)))
        {
            return ReadMultiLine(quote);
        }

        _at++;
        var value = new StringBuilder();
        while (Current != quote)
        {
            if (_at >= _text.Length || Current == '\n')
            {
                throw Error("the text has no closing quote");
            }

            ReadCharacter(quote, value);
        }

        _at++;
        return value.ToString();
    }

    private string ReadMultiLine(char quote)
    {
        var end = new string(quote, 3);
        _at += 3;
        if (Current == '\r')
        {
            _at++;
        }

        if (Current == '\n')
        {
            _at++;
            _line++;
        }

        var value = new StringBuilder();
        while (!_text.AsSpan(_at).StartsWith(end))
        {
            if (_at >= _text.Length)
            {
                throw Error("the text has no closing quotes");
            }

            if (Current == '\n')
            {
                _line++;
            }

            ReadCharacter(quote, value);
        }

        _at += 3;
        return value.ToString();
    }

    private void ReadCharacter(char quote, StringBuilder value)
    {
        var character = _text[_at++];
        if (character != '\\' || quote == '\'')
        {
            value.Append(character);
            return;
        }

        var escape = Current;
        _at++;
        switch (escape)
        {
            case 'b':
                value.Append('\b');
                break;
            case 't':
                value.Append('\t');
                break;
            case 'n':
                value.Append('\n');
                break;
            case 'f':
                value.Append('\f');
                break;
            case 'r':
                value.Append('\r');
                break;
            case '"' or '\\':
                value.Append(escape);
                break;
            case 'u' or 'U':
                var length = escape == 'u' ? 4 : 8;
                if (_at + length > _text.Length
                    || !int.TryParse(_text.AsSpan(_at, length), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var scalar)
                    || !Rune.TryCreate(scalar, out var rune))
                {
                    throw Error("the escape is no Unicode character");
                }

                value.Append(rune.ToString());
                _at += length;
                break;
            default:
                throw Error($"unknown escape \\{escape}");
        }
    }

    private void EndLine()
    {
        SkipBlanks();
        if (Current == '#')
        {
            SkipComment();
        }

        if (Current == '\r')
        {
            _at++;
        }

        if (_at < _text.Length && Current != '\n')
        {
            throw Error("expected the end of the line");
        }
    }

    private void SkipBlanks()
    {
        while (Current is ' ' or '\t')
        {
            _at++;
        }
    }

    private void SkipComment()
    {
        while (_at < _text.Length && Current != '\n')
        {
            _at++;
        }
    }

    private void SkipBlankLines()
    {
        while (_at < _text.Length)
        {
            switch (Current)
            {
                case '\n':
                    _line++;
                    _at++;
                    break;
                case ' ' or '\t' or '\r' or '\uFEFF':
                    _at++;
                    break;
                case '#':
                    SkipComment();
                    break;
                default:
                    return;
            }
        }
    }

    private TomlException Error(string reason) => new(_line, reason);
}
