using System.Buffers.Text;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace OrleansMemory.Cli.Bench;

/// <summary>
/// One keep-alive connection that sends finished request bytes and reads just enough of the answer to know its status and where
/// it ends. Blocking, for one thread: the generator shares the machine with the node and must cost next to nothing.
/// </summary>
internal sealed class HttpConnection(IPEndPoint node) : IDisposable
{
    private readonly byte[] _buffer = new byte[64 * 1024];
    private Socket? _socket;
    private int _start;
    private int _end;
    private readonly byte[] _token = new byte[256];
    private int _tokenLength;

    /// <summary>The token of the last answer, where it stands in its node's log; empty when there was none.</summary>
    public ReadOnlySpan<byte> Token => _token.AsSpan(0, _tokenLength);

    /// <summary>Sends the request and waits for the whole answer.</summary>
    /// <returns>The HTTP status; 0 when the connection broke or the answer could not be read. The next call connects anew.</returns>
    public int Exchange(ReadOnlySpan<byte> request)
    {
        try
        {
            var socket = _socket ??= Connect();
            while (request.Length > 0)
            {
                request = request[socket.Send(request)..];
            }

            return ReadAnswer();
        }
        catch (Exception exception) when (exception is SocketException or InvalidDataException)
        {
            Close();
            return 0;
        }
    }

    public void Dispose() => Close();

    private Socket Connect()
    {
        var socket = new Socket(node.AddressFamily, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true, ReceiveTimeout = 60_000, SendTimeout = 60_000 };
        socket.Connect(node);
        _start = _end = 0;
        return socket;
    }

    private void Close()
    {
        _socket?.Dispose();
        _socket = null;
    }

    private int ReadAnswer()
    {
        int length;
        while ((length = _buffer.AsSpan(_start, _end - _start).IndexOf("\r\n\r\n"u8)) < 0)
        {
            Fill();
        }

        var head = _buffer.AsSpan(_start, length + 2);
        if (head.Length < 12 || !head.StartsWith("HTTP/1.1 "u8) || !Utf8Parser.TryParse(head.Slice(9, 3), out int status, out _))
        {
            throw new InvalidDataException("no HTTP/1.1 status line");
        }

        long? body = null;
        var chunked = false;
        var close = false;
        _tokenLength = 0;
        for (var line = head[(head.IndexOf("\r\n"u8) + 2)..]; line.Length > 0;)
        {
            var end = line.IndexOf("\r\n"u8);
            var header = line[..end];
            line = line[(end + 2)..];
            if (Named(header, "content-length:", out var value))
            {
                body = Utf8Parser.TryParse(value, out long bytes, out _) ? bytes : throw new InvalidDataException("bad content length");
            }
            else if (Named(header, "transfer-encoding:", out _))
            {
                chunked = true;
            }
            else if (Named(header, "x-memory-token:", out value) && value.TryCopyTo(_token))
            {
                _tokenLength = value.Length;
            }
            else if (Named(header, "connection:", out value))
            {
                close = Ascii.EqualsIgnoreCase(value, "close");
            }
        }

        _start += length + 4;
        if (chunked)
        {
            PassChunks();
        }
        else
        {
            Pass(body ?? (status is 204 or 304 ? 0 : throw new InvalidDataException("neither a length nor chunks")));
        }

        if (close)
        {
            Close();
        }

        return status;
    }

    private static bool Named(ReadOnlySpan<byte> header, string name, out ReadOnlySpan<byte> value)
    {
        value = default;
        if (header.Length < name.Length || !Ascii.EqualsIgnoreCase(header[..name.Length], name))
        {
            return false;
        }

        value = header[name.Length..].Trim((byte)' ');
        return true;
    }

    private void PassChunks()
    {
        while (true)
        {
            int line;
            while ((line = _buffer.AsSpan(_start, _end - _start).IndexOf("\r\n"u8)) < 0)
            {
                Fill();
            }

            if (!Utf8Parser.TryParse(_buffer.AsSpan(_start, line), out long size, out _, 'x'))
            {
                throw new InvalidDataException("bad chunk size");
            }

            _start += line + 2;
            Pass(size + 2);
            if (size == 0)
            {
                return;
            }
        }
    }

    private void Pass(long bytes)
    {
        while (bytes > 0)
        {
            if (_start == _end)
            {
                Fill();
            }

            var taken = (int)Math.Min(bytes, _end - _start);
            _start += taken;
            bytes -= taken;
        }
    }

    private void Fill()
    {
        if (_start == _end)
        {
            _start = _end = 0;
        }
        else if (_end == _buffer.Length)
        {
            if (_start == 0)
            {
                throw new InvalidDataException("the head of the answer is too large");
            }

            _buffer.AsSpan(_start, _end - _start).CopyTo(_buffer);
            _end -= _start;
            _start = 0;
        }

        var read = _socket!.Receive(_buffer.AsSpan(_end));
        if (read == 0)
        {
            throw new InvalidDataException("the node closed the connection");
        }

        _end += read;
    }
}
