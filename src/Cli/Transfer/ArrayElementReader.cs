using System.Text.Json;

namespace OrleansMemory.Cli.Transfer;

/// <summary>
/// Reads one JSON object of any length and hands out the elements of the arrays directly below it, one after the other. Holds one
/// element at a time; other members are passed over.
/// </summary>
internal sealed class ArrayElementReader(Stream stream)
{
    /// <summary>The largest element or scalar, in bytes. A valid memory is below a tenth of it.</summary>
    private const int MaxElementBytes = 8 * 1024 * 1024;

    private static readonly byte[] ByteOrderMark = [0xef, 0xbb, 0xbf];

    private byte[] _buffer = new byte[64 * 1024];
    private int _start;
    private int _end;
    private bool _final;
    private bool _begun;
    private JsonReaderState _state = new(new JsonReaderOptions { MaxDepth = 128 });
    private Phase _phase = Phase.Root;

    private enum Phase
    {
        Root,
        Members,
        Elements,
        End,
        Done,
    }

    /// <summary>The member whose array the last element was in.</summary>
    public string Member { get; private set; } = "";

    /// <summary>Members of the object that were seen so far and hold an array.</summary>
    public HashSet<string> Arrays { get; } = [];

    /// <summary>The next element; null at the end of the document.</summary>
    /// <exception cref="JsonException">Malformed JSON, more than one document, or an element that is too large.</exception>
    public async ValueTask<JsonElement?> ReadAsync()
    {
        while (!_begun)
        {
            await FillAsync();
        }

        while (true)
        {
            if (Step(out var element))
            {
                if (element is not null || _phase == Phase.Done)
                {
                    return element;
                }
            }
            else if (_phase == Phase.End && _final)
            {
                _phase = Phase.Done;
                return null;
            }
            else
            {
                await FillAsync();
            }
        }
    }

    /// <returns>False when more input is needed.</returns>
    private bool Step(out JsonElement? element)
    {
        element = null;
        if (_phase == Phase.Done)
        {
            return true;
        }

        var reader = new Utf8JsonReader(_buffer.AsSpan(_start, _end - _start), _final, _state);
        if (!reader.Read())
        {
            return false;
        }

        var next = _phase;
        switch (_phase)
        {
            case Phase.Root:
                next = reader.TokenType == JsonTokenType.StartObject ? Phase.Members : throw new JsonException("the document is not a JSON object");
                break;
            case Phase.Members when reader.TokenType == JsonTokenType.EndObject:
                next = Phase.End;
                break;
            case Phase.Members:
                var name = NameOf(reader) ?? throw new JsonException("a key is not valid Unicode");
                if (!reader.Read())
                {
                    return false;
                }

                if (reader.TokenType == JsonTokenType.StartArray)
                {
                    Member = name;
                    Arrays.Add(name);
                    next = Phase.Elements;
                }
                else if (!reader.TrySkip())
                {
                    return false;
                }

                break;
            case Phase.Elements when reader.TokenType == JsonTokenType.EndArray:
                next = Phase.Members;
                break;
            case Phase.Elements:
                if (!JsonElement.TryParseValue(ref reader, out element))
                {
                    return false;
                }

                break;
        }

        _phase = next;
        _start += (int)reader.BytesConsumed;
        _state = reader.CurrentState;
        return true;
    }

    /// <returns>Null: it is not valid Unicode.</returns>
    private static string? NameOf(in Utf8JsonReader reader)
    {
        try
        {
            return reader.GetString();
        }
        catch (InvalidOperationException)
        {
            return null;
        }
    }

    private async ValueTask FillAsync()
    {
        if (_final)
        {
            throw new JsonException("the document ends too early");
        }

        if (_start > 0)
        {
            _buffer.AsSpan(_start, _end - _start).CopyTo(_buffer);
            _end -= _start;
            _start = 0;
        }

        if (_end == _buffer.Length)
        {
            if (_buffer.Length >= MaxElementBytes)
            {
                throw new JsonException($"an element exceeds {MaxElementBytes} bytes");
            }

            Array.Resize(ref _buffer, _buffer.Length * 2);
        }

        var read = await stream.ReadAsync(_buffer.AsMemory(_end));
        _final = read == 0;
        _end += read;
        if (!_begun && (_end >= ByteOrderMark.Length || _final))
        {
            _begun = true;
            _start = _buffer.AsSpan(0, _end).StartsWith(ByteOrderMark) ? ByteOrderMark.Length : 0;
        }
    }
}
