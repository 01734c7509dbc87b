using System.Buffers.Binary;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Core.Replication;

/// <summary>
/// What a link between processes carries: one form for each question and answer of <see cref="IReplicaLink"/>. Each starts with a
/// version byte; names of logs and namespaces that repeat are written once. What cannot be read fails with
/// <see cref="ErrorKind.MalformedRequest"/> and nothing else, however it is broken, and takes no more memory than a bounded multiple
/// of its own size. Decoded bodies are slices of the bytes they came in: those must not be reused.
/// </summary>
public static class LinkCodec
{
    /// <summary>Bytes of mutations that go into one request; a single larger mutation goes alone.</summary>
    public const int BatchBytes = 4 << 20;

    /// <summary>The largest question, in bytes.</summary>
    public const int RequestBytes = 8 << 20;

    /// <summary>The largest answer, in bytes: the digests of a store with very many namespaces.</summary>
    public const int AnswerBytes = 64 << 20;

    private const byte Version = 1;
    private const int RecoveringBit = 1;
    private const int ReadableBit = 2;

    /// <summary>Elements that a list gets room for before they are seen.</summary>
    private const int Untrusted = 1024;

    private const int BitmapBytes = Digest.Buckets / 8;

    /// <summary>What each bucket takes in a snapshot.</summary>
    private const int DigestBytes = 1 + sizeof(long) + 16;

    public static PooledBytes Encode(PeerHello hello)
    {
        var writer = new ByteWriter(1024);
        writer.WriteByte(Version);
        Write(ref writer, hello.Log);
        writer.WriteLong(hello.HeadSequence);
        writer.WriteLong(hello.Clock);
        writer.WriteLong(hello.UnixMilliseconds);
        writer.WriteNumber((ulong)hello.Nodes);
        writer.WriteNumber((ulong)hello.QuorumWrites);
        writer.WriteNumber((ulong)hello.Members.Count);
        foreach (var member in hello.Members)
        {
            writer.WriteText(member);
        }

        writer.WriteByte((byte)((hello.Recovering ? RecoveringBit : 0) | (hello.Readable ? ReadableBit : 0)));
        writer.WriteLong(hello.Floor);
        writer.WriteLong(hello.CommonFloor);
        Write(ref writer, hello.Vector);
        writer.WriteLong(hello.LogStart);
        writer.WriteNumber((ulong)hello.Refused.Count);
        foreach (var (log, sequence) in hello.Refused)
        {
            Write(ref writer, log);
            writer.WriteLong(sequence);
        }

        return writer.Detach();
    }

    public static PeerHello DecodeHello(ReadOnlyMemory<byte> bytes)
    {
        var reader = new ByteReader(bytes);
        reader.ExpectVersion(Version);
        var log = ReadLog(ref reader);
        var head = ReadSequence(reader.ReadLong());
        var clock = ReadSequence(reader.ReadLong());
        var unixMilliseconds = reader.ReadLong();
        if (unixMilliseconds < DateTimeOffset.MinValue.ToUnixTimeMilliseconds() || unixMilliseconds > DateTimeOffset.MaxValue.ToUnixTimeMilliseconds())
        {
            throw ByteReader.Malformed();
        }

        var nodes = ReadSmall(ref reader);
        var quorumWrites = ReadSmall(ref reader);
        var count = reader.ReadCount();
        var members = new List<string>(Math.Min(count, Untrusted));
        for (var index = 0; index < count; index++)
        {
            members.Add(reader.ReadText());
        }

        var bits = reader.ReadByte();
        var floor = ReadSequence(reader.ReadLong());
        var commonFloor = ReadSequence(reader.ReadLong());
        var vector = ReadVector(ref reader);
        var logStart = ReadSequence(reader.ReadLong());

        // An older version ends here.
        var refused = new Dictionary<LogId, long>();
        for (var left = reader.AtEnd ? 0 : reader.ReadCount(); left > 0; left--)
        {
            refused[ReadLog(ref reader)] = ReadSequence(reader.ReadLong());
        }

        // A newer version may say more behind this.
        return new(
            log, head, clock, unixMilliseconds, nodes, quorumWrites, members, (bits & RecoveringBit) != 0, (bits & ReadableBit) != 0, floor, commonFloor, vector, refused, logStart);
    }

    /// <summary>Parts that each fit <see cref="BatchBytes"/>, of at least one row; a batch that fits is the one part.</summary>
    public static IEnumerable<IReadOnlyList<Mutation>> SplitBatch(IReadOnlyList<Mutation> batch)
    {
        var start = 0;
        long size = 0;
        for (var end = 0; end < batch.Count; end++)
        {
            var row = batch[end].Body.Length + batch[end].Key.Length + 512;
            size += row;
            if (size > BatchBytes && end > start)
            {
                yield return [.. batch.Skip(start).Take(end - start)];
                (start, size) = (end, row);
            }
        }

        yield return start == 0 ? batch : [.. batch.Skip(start)];
    }

    /// <summary>Bodies are copied as they are.</summary>
    public static PooledBytes Encode(IReadOnlyList<Mutation> batch)
    {
        var size = 64;
        foreach (var mutation in batch)
        {
            size += mutation.Body.Length + mutation.Key.Length + 48;
        }

        var writer = new ByteWriter(size);
        writer.WriteByte(Version);
        var logs = new List<LogId>(1);
        foreach (var mutation in batch)
        {
            IndexOf(logs, mutation.Position.Log);
            IndexOf(logs, mutation.Stamp.Log);
        }

        writer.WriteNumber((ulong)logs.Count);
        foreach (var log in logs)
        {
            Write(ref writer, log);
        }

        writer.WriteNumber((ulong)batch.Count);
        foreach (var mutation in batch)
        {
            writer.WriteNumber((ulong)IndexOf(logs, mutation.Position.Log));
            writer.WriteNumber((ulong)mutation.Position.Sequence);
            writer.WriteLong(mutation.Stamp.Clock);
            writer.WriteNumber((ulong)IndexOf(logs, mutation.Stamp.Log));
            writer.WriteLong(mutation.Epoch);
            writer.WriteNumber((ulong)mutation.Kind);
            writer.WriteText(mutation.Key);
            WriteOptional(ref writer, mutation.IdempotencyKey);
            writer.WriteNumber((ulong)mutation.Body.Length);
            writer.WriteBytes(mutation.Body.Span);
        }

        return writer.Detach();
    }

    public static IReadOnlyList<Mutation> DecodeBatch(ReadOnlyMemory<byte> bytes)
    {
        var reader = new ByteReader(bytes);
        reader.ExpectVersion(Version);
        var logCount = reader.ReadCount();
        var logs = new List<LogId>(Math.Min(logCount, Untrusted));
        for (var index = 0; index < logCount; index++)
        {
            logs.Add(ReadLog(ref reader));
        }

        var count = reader.ReadCount();
        var batch = new List<Mutation>(Math.Min(count, Untrusted));
        for (var index = 0; index < count; index++)
        {
            var position = new LogPosition(ReadIndexed(ref reader, logs), ReadSequence((long)reader.ReadNumber()));
            var clock = ReadSequence(reader.ReadLong());
            var stamp = new Stamp(clock, ReadIndexed(ref reader, logs));
            var epoch = reader.ReadLong();
            var kind = (MutationKind)reader.ReadTag();
            var key = reader.ReadText();
            var idempotencyKey = ReadOptional(ref reader);
            batch.Add(new(position, stamp, epoch, kind, key, reader.ReadField().ReadRest(), idempotencyKey));
        }

        RequireEnd(reader);
        return batch;
    }

    public static PooledBytes Encode(IReadOnlyList<ApplyOutcome> outcomes)
    {
        var writer = new ByteWriter(outcomes.Count + 8);
        writer.WriteByte(Version);
        writer.WriteNumber((ulong)outcomes.Count);
        foreach (var outcome in outcomes)
        {
            writer.WriteByte((byte)outcome);
        }

        return writer.Detach();
    }

    public static IReadOnlyList<ApplyOutcome> DecodeOutcomes(ReadOnlyMemory<byte> bytes)
    {
        var reader = new ByteReader(bytes);
        reader.ExpectVersion(Version);
        var outcomes = new ApplyOutcome[reader.ReadCount()];
        for (var index = 0; index < outcomes.Length; index++)
        {
            var outcome = (ApplyOutcome)reader.ReadByte();
            outcomes[index] = outcome <= ApplyOutcome.RefusedMalformed ? outcome : throw ByteReader.Malformed();
        }

        RequireEnd(reader);
        return outcomes;
    }

    public static PooledBytes Encode(DigestSnapshot snapshot)
    {
        var writer = new ByteWriter(4096 + (snapshot.Digests.Count * 24));
        writer.WriteByte(Version);
        Write(ref writer, snapshot.Vector);
        var namespaces = snapshot.Digests.GroupBy(static pair => pair.Key.Namespace, StringComparer.Ordinal).ToList();
        writer.WriteNumber((ulong)namespaces.Count);
        foreach (var buckets in namespaces)
        {
            writer.WriteText(buckets.Key);
            writer.WriteNumber((ulong)buckets.Count());
            foreach (var (key, digest) in buckets)
            {
                writer.WriteByte((byte)key.Bucket);
                writer.WriteLong(digest.Rows);
                Write(ref writer, digest.Hash);
            }
        }

        return writer.Detach();
    }

    public static DigestSnapshot DecodeSnapshot(ReadOnlyMemory<byte> bytes)
    {
        var reader = new ByteReader(bytes);
        reader.ExpectVersion(Version);
        var vector = ReadVector(ref reader);
        var digests = new Dictionary<DigestKey, Digest>(bytes.Length / DigestBytes);
        var namespaces = reader.ReadCount();
        for (var index = 0; index < namespaces; index++)
        {
            var name = reader.ReadText();
            var buckets = reader.ReadCount();
            for (var bucket = 0; bucket < buckets; bucket++)
            {
                var key = new DigestKey(name, reader.ReadByte());
                var rows = reader.ReadLong();
                digests[key] = new(rows, ReadHash(ref reader));
            }
        }

        RequireEnd(reader);
        return new(digests, vector);
    }

    /// <summary>The question for digests: the clock below which tombstones are left out.</summary>
    public static PooledBytes Encode(long floor)
    {
        var writer = new ByteWriter(16);
        writer.WriteByte(Version);
        writer.WriteLong(floor);
        return writer.Detach();
    }

    public static long DecodeFloor(ReadOnlyMemory<byte> bytes)
    {
        var reader = new ByteReader(bytes);
        reader.ExpectVersion(Version);
        var floor = ReadSequence(reader.ReadLong());
        RequireEnd(reader);
        return floor;
    }

    /// <summary>The question for hashes: buckets as a bitmap for each namespace, and the place.</summary>
    public static PooledBytes Encode(IReadOnlyCollection<DigestKey> buckets, string? after)
    {
        var namespaces = buckets.GroupBy(static key => key.Namespace, StringComparer.Ordinal).ToList();
        var writer = new ByteWriter(256 + (namespaces.Count * 64));
        writer.WriteByte(Version);
        WriteOptional(ref writer, after);
        writer.WriteNumber((ulong)namespaces.Count);
        Span<byte> bitmap = stackalloc byte[BitmapBytes];
        foreach (var group in namespaces)
        {
            writer.WriteText(group.Key);
            bitmap.Clear();
            foreach (var key in group)
            {
                bitmap[(byte)key.Bucket >> 3] |= (byte)(1 << (key.Bucket & 7));
            }

            writer.WriteBytes(bitmap);
        }

        return writer.Detach();
    }

    public static (IReadOnlyCollection<DigestKey> Buckets, string? After) DecodeHashesQuestion(ReadOnlyMemory<byte> bytes)
    {
        var reader = new ByteReader(bytes);
        reader.ExpectVersion(Version);
        var after = ReadOptional(ref reader);
        var buckets = new HashSet<DigestKey>();
        var namespaces = reader.ReadCount();
        for (var index = 0; index < namespaces; index++)
        {
            var name = reader.ReadText();
            for (var part = 0; part < BitmapBytes; part++)
            {
                var bits = reader.ReadByte();
                for (var bit = 0; bit < 8; bit++)
                {
                    if ((bits & (1 << bit)) != 0)
                    {
                        buckets.Add(new(name, (part << 3) | bit));
                    }
                }
            }
        }

        RequireEnd(reader);
        return (buckets, after);
    }

    public static PooledBytes Encode(RowHashPage page)
    {
        var writer = new ByteWriter(256 + (page.Rows.Count * 72));
        writer.WriteByte(Version);
        WriteOptional(ref writer, page.Next);
        writer.WriteNumber((ulong)page.Rows.Count);
        foreach (var (key, hash) in page.Rows)
        {
            Write(ref writer, key);
            Write(ref writer, hash);
        }

        return writer.Detach();
    }

    public static RowHashPage DecodeHashes(ReadOnlyMemory<byte> bytes)
    {
        var reader = new ByteReader(bytes);
        reader.ExpectVersion(Version);
        var next = ReadOptional(ref reader);
        var count = reader.ReadCount();
        var rows = new List<(RowKey, UInt128)>(Math.Min(count, Untrusted));
        for (var index = 0; index < count; index++)
        {
            rows.Add((ReadKey(ref reader), ReadHash(ref reader)));
        }

        RequireEnd(reader);
        return new(rows, next);
    }

    public static PooledBytes Encode(IReadOnlyList<RowKey> keys)
    {
        var writer = new ByteWriter(64 + (keys.Count * 48));
        writer.WriteByte(Version);
        writer.WriteNumber((ulong)keys.Count);
        foreach (var key in keys)
        {
            Write(ref writer, key);
        }

        return writer.Detach();
    }

    public static IReadOnlyList<RowKey> DecodeKeys(ReadOnlyMemory<byte> bytes)
    {
        var reader = new ByteReader(bytes);
        reader.ExpectVersion(Version);
        var count = reader.ReadCount();
        var keys = new List<RowKey>(Math.Min(count, Untrusted));
        for (var index = 0; index < count; index++)
        {
            keys.Add(ReadKey(ref reader));
        }

        RequireEnd(reader);
        return keys;
    }

    /// <param name="answered">How many keys, from the first, the rows answer for; the others are to be asked for again.</param>
    public static PooledBytes Encode(IReadOnlyList<ReplicatedRow> rows, int answered)
    {
        var writer = new ByteWriter(64 + rows.Sum(static row => row.Body.Length + 64));
        writer.WriteByte(Version);
        writer.WriteNumber((ulong)answered);
        writer.WriteNumber((ulong)rows.Count);
        foreach (var row in rows)
        {
            Write(ref writer, row.Key);
            writer.WriteNumber((ulong)row.Body.Length);
            writer.WriteBytes(row.Body.Span);
        }

        return writer.Detach();
    }

    public static (IReadOnlyList<ReplicatedRow> Rows, int Answered) DecodeRows(ReadOnlyMemory<byte> bytes)
    {
        var reader = new ByteReader(bytes);
        reader.ExpectVersion(Version);
        var answered = ReadSmall(ref reader);
        var count = reader.ReadCount();
        var rows = new List<ReplicatedRow>(Math.Min(count, Untrusted));
        for (var index = 0; index < count; index++)
        {
            var key = ReadKey(ref reader);
            rows.Add(new(key, reader.ReadField().ReadRest()));
        }

        RequireEnd(reader);
        return (rows, answered);
    }

    private static int IndexOf(List<LogId> logs, LogId log)
    {
        var index = logs.IndexOf(log);
        if (index < 0)
        {
            index = logs.Count;
            logs.Add(log);
        }

        return index;
    }

    private static LogId ReadIndexed(ref ByteReader reader, List<LogId> logs)
    {
        var index = reader.ReadNumber();
        return index < (ulong)logs.Count ? logs[(int)index] : throw ByteReader.Malformed();
    }

    private static void Write(ref ByteWriter writer, LogId log)
    {
        writer.WriteText(log.Node);
        writer.WriteLong(unchecked((long)log.Incarnation));
    }

    private static LogId ReadLog(ref ByteReader reader)
    {
        var node = reader.ReadText();
        return node.Length is > 0 and <= MemoryLimits.AgentIdBytes ? new(node, unchecked((ulong)reader.ReadLong())) : throw ByteReader.Malformed();
    }

    private static void Write(ref ByteWriter writer, IReadOnlyDictionary<LogId, AppliedSet> vector)
    {
        writer.WriteNumber((ulong)vector.Count);
        foreach (var (log, held) in vector)
        {
            Write(ref writer, log);
            writer.WriteNumber((ulong)held.Through);
            writer.WriteNumber((ulong)held.Above.Count);
            foreach (var (first, last) in held.Above)
            {
                writer.WriteNumber((ulong)first);
                writer.WriteNumber((ulong)last);
            }
        }
    }

    private static Dictionary<LogId, AppliedSet> ReadVector(ref ByteReader reader)
    {
        var count = reader.ReadCount();
        var vector = new Dictionary<LogId, AppliedSet>(Math.Min(count, Untrusted));
        for (var index = 0; index < count; index++)
        {
            var log = ReadLog(ref reader);
            var through = ReadSequence((long)reader.ReadNumber());
            var ranges = reader.ReadCount();
            var above = new List<(long First, long Last)>(Math.Min(ranges, Untrusted));
            var end = through;
            for (var range = 0; range < ranges; range++)
            {
                var first = ReadSequence((long)reader.ReadNumber());
                var last = ReadSequence((long)reader.ReadNumber());
                if (first <= end + 1 || last < first || last == long.MaxValue)
                {
                    throw ByteReader.Malformed();
                }

                above.Add((first, last));
                end = last;
            }

            vector[log] = new(through, above);
        }

        return vector;
    }

    private static void Write(ref ByteWriter writer, RowKey key)
    {
        writer.WriteNumber((ulong)key.Kind);
        writer.WriteText(key.Key);
    }

    private static RowKey ReadKey(ref ByteReader reader) => new((MutationKind)reader.ReadTag(), reader.ReadText());

    private static void Write(ref ByteWriter writer, UInt128 hash)
    {
        Span<byte> bytes = stackalloc byte[16];
        BinaryPrimitives.WriteUInt128BigEndian(bytes, hash);
        writer.WriteBytes(bytes);
    }

    private static UInt128 ReadHash(ref ByteReader reader)
    {
        var high = unchecked((ulong)reader.ReadLong());
        return new(high, unchecked((ulong)reader.ReadLong()));
    }

    private static void WriteOptional(ref ByteWriter writer, string? text)
    {
        writer.WriteByte(text is null ? (byte)0 : (byte)1);
        if (text is not null)
        {
            writer.WriteText(text);
        }
    }

    private static string? ReadOptional(ref ByteReader reader) => reader.ReadByte() == 0 ? null : reader.ReadText();

    /// <summary>Sequence numbers and clocks are never negative, and one more than the largest must still be a number.</summary>
    private static long ReadSequence(long value) => value is >= 0 and < long.MaxValue ? value : throw ByteReader.Malformed();

    private static int ReadSmall(ref ByteReader reader)
    {
        var value = reader.ReadNumber();
        return value <= int.MaxValue ? (int)value : throw ByteReader.Malformed();
    }

    private static void RequireEnd(ByteReader reader)
    {
        if (!reader.AtEnd)
        {
            throw ByteReader.Malformed();
        }
    }
}
