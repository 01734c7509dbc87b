using System.Buffers;
using System.Buffers.Binary;
using System.Text;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Core.Replication;

/// <summary>Bytes in a buffer of the shared pool. Disposing gives it back: nothing may read it any more then.</summary>
public sealed class PooledBytes(byte[] buffer, int length) : IDisposable
{
    private byte[]? _buffer = buffer;

    public ReadOnlyMemory<byte> Memory => new(_buffer ?? throw new ObjectDisposedException(nameof(PooledBytes)), 0, length);

    public void Dispose()
    {
        if (Interlocked.Exchange(ref _buffer, null) is { Length: > 0 } pooled)
        {
            ArrayPool<byte>.Shared.Return(pooled);
        }
    }
}

/// <summary>Writes the elements of the replicated form into a pooled buffer.</summary>
internal ref struct ByteWriter
{
    private byte[] _buffer;
    private int _length;

    public ByteWriter(int capacity)
    {
        _buffer = ArrayPool<byte>.Shared.Rent(capacity);
        _length = 0;
    }

    public readonly ReadOnlySpan<byte> Written => _buffer.AsSpan(0, _length);

    public static int SizeOf(ulong number)
    {
        var size = 1;
        for (; number >= 0x80; number >>= 7)
        {
            size++;
        }

        return size;
    }

    public void WriteByte(byte value) => Reserve(1)[0] = value;

    public void WriteNumber(ulong value)
    {
        for (; value >= 0x80; value >>= 7)
        {
            WriteByte((byte)(value | 0x80));
        }

        WriteByte((byte)value);
    }

    public void WriteLong(long value) => BinaryPrimitives.WriteInt64BigEndian(Reserve(sizeof(long)), value);

    public void WriteText(string text)
    {
        var size = Encoding.UTF8.GetByteCount(text);
        WriteNumber((ulong)size);
        Encoding.UTF8.GetBytes(text, Reserve(size));
    }

    public void WriteBytes(scoped ReadOnlySpan<byte> bytes) => bytes.CopyTo(Reserve(bytes.Length));

    public void WriteStamp(Stamp stamp)
    {
        WriteLong(stamp.Clock);
        WriteText(stamp.Log.Node);
        WriteLong(unchecked((long)stamp.Log.Incarnation));
    }

    public void WriteOptional(Timestamp? instant)
    {
        WriteByte(instant is null ? (byte)0 : (byte)1);
        if (instant is { } known)
        {
            WriteLong(known.Nanoseconds);
        }
    }

    /// <summary>Starts a value whose length is not known yet.</summary>
    public readonly int BeginLength() => _length;

    /// <summary>Puts the length of what was written since <paramref name="mark"/> before it.</summary>
    public void EndLength(int mark)
    {
        var size = _length - mark;
        var prefix = SizeOf((ulong)size);
        Reserve(prefix);
        _buffer.AsSpan(mark, size).CopyTo(_buffer.AsSpan(mark + prefix));
        _length = mark;
        WriteNumber((ulong)size);
        _length = mark + prefix + size;
    }

    public byte[] ToArray()
    {
        var bytes = Written.ToArray();
        Dispose();
        return bytes;
    }

    /// <summary>Hands the buffer over as it is; the writer is empty then.</summary>
    public PooledBytes Detach()
    {
        var bytes = new PooledBytes(_buffer, _length);
        _buffer = [];
        _length = 0;
        return bytes;
    }

    public void Dispose()
    {
        if (_buffer.Length > 0)
        {
            ArrayPool<byte>.Shared.Return(_buffer);
            _buffer = [];
            _length = 0;
        }
    }

    private Span<byte> Reserve(int size)
    {
        if (_length + size > _buffer.Length)
        {
            var larger = ArrayPool<byte>.Shared.Rent(Math.Max(_buffer.Length * 2, _length + size));
            Written.CopyTo(larger);
            if (_buffer.Length > 0)
            {
                ArrayPool<byte>.Shared.Return(_buffer);
            }

            _buffer = larger;
        }

        var span = _buffer.AsSpan(_length, size);
        _length += size;
        return span;
    }
}

/// <summary>Reads the elements of the replicated form; anything out of shape is <see cref="Malformed"/>.</summary>
internal ref struct ByteReader(ReadOnlyMemory<byte> bytes)
{
    private readonly ReadOnlyMemory<byte> _bytes = bytes;
    private int _position;

    public readonly bool AtEnd => _position == _bytes.Length;

    public static MemoryException Malformed() => new(ErrorKind.MalformedRequest, "replicated state is malformed");

    public void ExpectVersion(byte version)
    {
        if (ReadByte() != version)
        {
            throw Malformed();
        }
    }

    public byte ReadByte() => Take(1).Span[0];

    public ulong ReadNumber()
    {
        ulong value = 0;
        for (var shift = 0; shift < 64; shift += 7)
        {
            var next = ReadByte();
            value |= (ulong)(next & 0x7f) << shift;
            if (next < 0x80)
            {
                return value;
            }
        }

        throw Malformed();
    }

    /// <summary>A number of elements; never more than there are bytes left.</summary>
    public int ReadCount()
    {
        var count = ReadNumber();
        return count <= (ulong)(_bytes.Length - _position) ? (int)count : throw Malformed();
    }

    public int ReadTag()
    {
        var tag = ReadNumber();
        return tag <= ushort.MaxValue ? (int)tag : throw Malformed();
    }

    public long ReadLong() => BinaryPrimitives.ReadInt64BigEndian(Take(sizeof(long)).Span);

    public string ReadText() => Encoding.UTF8.GetString(Take(ReadCount()).Span);

    public Stamp ReadStamp()
    {
        var clock = ReadLong();
        var node = ReadText();
        return new(clock, new(node, unchecked((ulong)ReadLong())));
    }

    public Timestamp? ReadOptional() => ReadByte() == 0 ? null : new Timestamp(ReadLong());

    public ByteReader ReadField() => new(Take(ReadCount()));

    public Stamp ReadIndexed(Stamp[] stamps)
    {
        var index = ReadNumber();
        return index < (ulong)stamps.Length ? stamps[index] : throw Malformed();
    }

    public ReadOnlyMemory<byte> ReadRest() => Take(_bytes.Length - _position);

    private ReadOnlyMemory<byte> Take(int size)
    {
        if (size > _bytes.Length - _position)
        {
            throw Malformed();
        }

        var slice = _bytes.Slice(_position, size);
        _position += size;
        return slice;
    }
}
