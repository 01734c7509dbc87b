using System.Globalization;
using System.Text;

namespace OrleansMemory.Cli.Bench;

/// <summary>Stores of 1 KiB memories with titles that are never used twice. Requests are finished bytes; only the title is filled in.</summary>
internal sealed class WriteRequests : IRequestSource
{
    /// <summary>UTF-8 bytes of each content.</summary>
    public const int ContentBytes = 1024;

    private const int Templates = 4096;
    private const int TitleDigits = 12;
    private const string TitlePrefix = "bench ";

    private readonly byte[][] _templates = new byte[Templates][];
    private readonly int _digits;

    public WriteRequests(string host, string? apiKey, BenchText text)
    {
        var content = new byte[ContentBytes];
        for (var index = 0; index < Templates; index++)
        {
            text.Fill(content);
            var body = $$"""{"title":"{{TitlePrefix}}{{new string('0', TitleDigits)}}","content":"{{Encoding.ASCII.GetString(content)}}","namespace":"bench/{{index % 16}}","tier":"long"}""";
            var key = apiKey is null ? "" : $"X-API-Key: {apiKey}\r\n";
            var request = $"POST /api/v1/memories HTTP/1.1\r\nHost: {host}\r\nX-Agent-Id: bench\r\n{key}Content-Type: application/json\r\nContent-Length: {body.Length}\r\n\r\n{body}";
            _templates[index] = Encoding.ASCII.GetBytes(request);
        }

        _digits = _templates[0].AsSpan().IndexOf(Encoding.ASCII.GetBytes($"{TitlePrefix}0")) + TitlePrefix.Length;
    }

    public IReadOnlyList<string> Classes { get; } = ["store"];

    public ReadOnlySpan<byte> Next(long ticket, Span<byte> scratch, out int @class)
    {
        @class = 0;
        var template = _templates[ticket % Templates];
        template.CopyTo(scratch);

        // The namespaces differ in length by a digit, but the title comes before them.
        ticket.TryFormat(scratch.Slice(_digits, TitleDigits), out _, "D12", CultureInfo.InvariantCulture);
        return scratch[..template.Length];
    }
}

/// <summary>Recalls with one to four words, rare and common.</summary>
internal sealed class RecallRequests : IRequestSource
{
    private const int QueriesOfEachClass = 512;

    private readonly byte[][] _requests;

    public RecallRequests(string host, string? apiKey, BenchText text)
    {
        Func<string>[] queries =
        [
            text.RareWord,
            text.CommonWord,
            () => $"{text.RareWord()} {text.CommonWord()}",
            () => $"{text.RareWord()} {text.CommonWord()} {text.RareWord()}",
            () => $"{text.CommonWord()} {text.RareWord()} {text.CommonWord()} {text.RareWord()}",
        ];
        var key = apiKey is null ? "" : $"X-API-Key: {apiKey}\r\n";
        _requests = Enumerable.Range(0, queries.Length * QueriesOfEachClass)
            .Select(index => Uri.EscapeDataString(queries[index % queries.Length]()))
            .Select(query => Encoding.ASCII.GetBytes($"GET /api/v1/recall?context={query}&limit=10 HTTP/1.1\r\nHost: {host}\r\n{key}\r\n"))
            .ToArray();
    }

    public IReadOnlyList<string> Classes { get; } = ["1 rare", "1 common", "2 mixed", "3 mixed", "4 mixed"];

    public ReadOnlySpan<byte> Next(long ticket, Span<byte> scratch, out int @class)
    {
        var index = (int)(ticket % _requests.Length);
        @class = index % Classes.Count;
        return _requests[index];
    }
}
