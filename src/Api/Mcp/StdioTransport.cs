using System.Buffers;
using System.IO.Pipelines;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Threading.Channels;
using ModelContextProtocol;
using ModelContextProtocol.Protocol;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Api.Mcp;

/// <summary>
/// One message on each line, in and out. Messages are taken one after the other, each request when the one before it is answered, so that a client may send
/// many at once and still count on their order; only that it no longer waits for one is heard at once. When the input ends, what was asked before is still answered.
/// </summary>
internal sealed class StdioTransport : TransportBase
{
    private const int MostWaiting = 1_000;

    /// <summary>Stands for a line of which nothing was kept.</summary>
    private static readonly byte[] TooLong = [(byte)'?'];

    private readonly PipeReader _input;
    private readonly Stream _output;
    private readonly SemaphoreSlim _writing = new(1, 1);
    private readonly Channel<JsonRpcMessage> _waiting = Channel.CreateBounded<JsonRpcMessage>(MostWaiting);
    private readonly CancellationTokenSource _closing = new();
    private readonly Task _running;
    private readonly Lock _gate = new();
    private RequestId _asked;
    private TaskCompletionSource? _answered;

    public StdioTransport(Stream input, Stream output)
        : base("stdio", loggerFactory: null)
    {
        _input = PipeReader.Create(input, new(leaveOpen: true));
        _output = output;
        SetConnected();
        _running = Task.Run(RunAsync);
    }

    public override async Task SendMessageAsync(JsonRpcMessage message, CancellationToken cancellationToken = default)
    {
        try
        {
            await WriteAsync(JsonRpcMessages.Write(message));
        }
        finally
        {
            if (message is JsonRpcResponse or JsonRpcError)
            {
                // Also where nobody reads it any more.
                Release(((JsonRpcMessageWithId)message).Id);
            }
        }
    }

    public override async ValueTask DisposeAsync()
    {
        await _closing.CancelAsync();
        await _running;
        SetDisconnected();
        _closing.Dispose();
        _writing.Dispose();
    }

    private async Task RunAsync()
    {
        var asking = AskAsync();
        try
        {
            while (await ReadLineAsync() is { } line)
            {
                if (!line.AsSpan().ContainsAnyExcept((byte)' ', (byte)'\t', (byte)'\r'))
                {
                    continue;
                }

                await TakeAsync(line);
            }
        }
        catch (Exception exception) when (exception is OperationCanceledException or IOException)
        {
            // The client is gone, or this end is.
        }

        _waiting.Writer.TryComplete();
        await asking;
        SetDisconnected();
    }

    private async Task TakeAsync(byte[] line)
    {
        JsonRpcMessage? message = null;
        string? broken = null;
        try
        {
            message = JsonRpcMessages.Read(line);
        }
        catch (JsonException)
        {
            broken = ReferenceEquals(line, TooLong) ? $"a line exceeds {MemoryLimits.RequestBytes} bytes" : "not a JSON-RPC 2.0 message";
        }

        switch (message)
        {
            case null:
                await WriteAsync(JsonRpcErrors.Of(McpErrorCode.ParseError, $"parse error: {broken}"));
                break;
            case JsonRpcNotification { Method: NotificationMethods.CancelledNotification } cancelled:
                await WriteMessageAsync(message, _closing.Token);

                // Nothing answers what was called off.
                Release(IdOf(cancelled));
                break;
            default:
                await _waiting.Writer.WriteAsync(message, _closing.Token);
                break;
        }
    }

    /// <summary>Hands one message on, waits for the answer of a request, and so forth.</summary>
    private async Task AskAsync()
    {
        try
        {
            await foreach (var message in _waiting.Reader.ReadAllAsync(_closing.Token))
            {
                if (message is not JsonRpcRequest request)
                {
                    await WriteMessageAsync(message, _closing.Token);
                    continue;
                }

                Task answered;
                lock (_gate)
                {
                    _asked = request.Id;
                    _answered = new(TaskCreationOptions.RunContinuationsAsynchronously);
                    answered = _answered.Task;
                }

                await WriteMessageAsync(request, _closing.Token);
                await answered.WaitAsync(_closing.Token);
            }
        }
        catch (OperationCanceledException)
        {
            // This end closes.
        }
    }

    private void Release(RequestId id)
    {
        lock (_gate)
        {
            if (_answered is not null && _asked.Equals(id))
            {
                _answered.TrySetResult();
            }
        }
    }

    private async Task WriteAsync(ReadOnlyMemory<byte> message)
    {
        await _writing.WaitAsync(_closing.Token);
        try
        {
            await _output.WriteAsync(message);
            await _output.WriteAsync("\n"u8.ToArray());
            await _output.FlushAsync();
        }
        finally
        {
            _writing.Release();
        }
    }

    /// <summary>Null at the end of the input.</summary>
    private async ValueTask<byte[]?> ReadLineAsync()
    {
        var skipping = false;
        while (true)
        {
            var result = await _input.ReadAsync(_closing.Token);
            var buffer = result.Buffer;
            if (buffer.PositionOf((byte)'\n') is { } end)
            {
                var line = skipping ? TooLong : buffer.Slice(0, end).ToArray();
                _input.AdvanceTo(buffer.GetPosition(1, end));
                return line;
            }

            if (result.IsCompleted)
            {
                var rest = buffer.ToArray();
                _input.AdvanceTo(buffer.End);
                return rest.Length > 0 && !skipping ? rest : null;
            }

            if (buffer.Length > MemoryLimits.RequestBytes)
            {
                // Nothing of it is kept, so that a client cannot fill the memory with one line.
                skipping = true;
                _input.AdvanceTo(buffer.End);
            }
            else
            {
                _input.AdvanceTo(buffer.Start, buffer.End);
            }
        }
    }

    private static RequestId IdOf(JsonRpcNotification cancelled) => cancelled.Params is JsonObject fields && fields.TryGetPropertyValue("requestId", out var id) && id is JsonValue value
        ? value.TryGetValue<string>(out var text) ? new(text) : value.TryGetValue<long>(out var number) ? new(number) : default
        : default;
}
