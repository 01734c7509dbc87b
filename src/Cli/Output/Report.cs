using System.Text;
using System.Text.Json;

namespace OrleansMemory.Cli.Output;

/// <summary>
/// The streams of a command: results on standard output, everything else on standard error. UTF-8 without a byte order mark,
/// LF line ends on every system.
/// </summary>
internal sealed class Report : IDisposable
{
    private static readonly UTF8Encoding Utf8 = new(encoderShouldEmitUTF8Identifier: false);

    private readonly Stream _output;
    private readonly StreamWriter _text;
    private readonly StreamWriter _error;
    private readonly Func<Stream> _openInput;

    /// <param name="openInput">Opens what the command reads; once at most.</param>
    /// <param name="progress">A person watches standard error.</param>
    public Report(Stream output, Stream error, bool colour, Func<Stream>? openInput = null, bool progress = false)
    {
        _openInput = openInput ?? (static () => Stream.Null);
        ShowsProgress = progress;
        _output = output;
        _text = new(output, Utf8, bufferSize: 4096, leaveOpen: true) { NewLine = "\n" };
        _error = new(error, Utf8, bufferSize: 1024, leaveOpen: true) { NewLine = "\n", AutoFlush = true };
        Colour = colour;
    }

    /// <summary>True when the reader is a terminal that shows colours.</summary>
    public bool Colour { get; }

    /// <summary>True when a person watches standard error: long work says how far it is.</summary>
    public bool ShowsProgress { get; }

    public TextWriter Text => _text;

    public TextWriter Error => _error;

    public static Report OfConsole() => new(
        Console.OpenStandardOutput(),
        Console.OpenStandardError(),
        colour: !Console.IsOutputRedirected && Environment.GetEnvironmentVariable("NO_COLOR") is null or "" && Environment.GetEnvironmentVariable("TERM") is not "dumb",
        Console.OpenStandardInput,
        progress: !Console.IsErrorRedirected);

    /// <summary>Nobody reads it.</summary>
    public static Report Silent() => new(Stream.Null, Stream.Null, colour: false);

    /// <summary>What the command reads.</summary>
    public Stream OpenInput() => _openInput();

    /// <summary>One JSON document and a line end.</summary>
    public void Json(Action<Utf8JsonWriter> write, bool indented = false)
    {
        _text.Flush();
        using (var writer = JsonWriter(_output, indented))
        {
            write(writer);
        }

        _output.WriteByte((byte)'\n');
    }

    /// <summary>One JSON object and a line end.</summary>
    public void Object(Action<Utf8JsonWriter> writeMembers, bool indented = false) => Json(
        writer =>
        {
            writer.WriteStartObject();
            writeMembers(writer);
            writer.WriteEndObject();
        },
        indented);

    /// <summary>Standard output itself, after everything written before.</summary>
    public Stream Raw()
    {
        _text.Flush();
        return _output;
    }

    public static Utf8JsonWriter JsonWriter(Stream stream, bool indented = false) => new(stream, new JsonWriterOptions
    {
        Encoder = PlainJsonEncoder.Instance,
        Indented = indented,
        NewLine = "\n",
        SkipValidation = true,
        MaxDepth = 128,
    });

    /// <summary>Hands everything to the reader.</summary>
    /// <exception cref="IOException">The reader is a file on a full disk, for example.</exception>
    public void Flush()
    {
        _text.Flush();
        _output.Flush();
    }

    public void Dispose()
    {
        _error.Dispose();
        try
        {
            _text.Dispose();
        }
        catch (IOException)
        {
            // Flush has reported it; what the writer still holds cannot go anywhere.
        }
    }
}
