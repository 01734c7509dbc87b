using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Core.Tests.Replication;

public sealed class LinkCodecTests
{
    private static readonly LogId A = new("node-a", 0xfedc_ba98_7654_3210);
    private static readonly LogId B = new("ж/b", 7);

    private static readonly Dictionary<LogId, AppliedSet> Vector = new()
    {
        [A] = new(17, [(19, 20), (30, 30)]),
        [B] = AppliedSet.None,
    };

    private static readonly PeerHello Hello = new(A, 17, 1L << 60, 1_790_000_000_000, 3, 2, ["node-a", "ж/b"], Recovering: true, Readable: false, 5, 3, Vector, new Dictionary<LogId, long> { [B] = 44 }, LogStart: 9);

    private static readonly Mutation[] Batch =
    [
        new(new(A, 1), new(99, B), 4, MutationKind.Memory, "id", new byte[] { 1, 2, 3 }, "key"),
        new(new(A, long.MaxValue - 1), new(100, A), 0, (MutationKind)999, "", ReadOnlyMemory<byte>.Empty),
    ];

    private static readonly DigestSnapshot Snapshot = new(
        new Dictionary<DigestKey, Digest>
        {
            [new("ns", 0)] = new(3, UInt128.MaxValue),
            [new("ns", 255)] = new(-1, 5),
            [DigestKey.Tombstones] = default,
        },
        Vector);

    private static readonly DigestKey[] Buckets = [new("ns", 0), new("ns", 255), new("other", 9)];

    private static readonly RowHashPage Page = new([(new(MutationKind.Link, "a|b"), 77), (new(MutationKind.MemoryDelete, "x"), UInt128.MaxValue)], "m5");

    private static readonly RowKey[] Keys = [new(MutationKind.Memory, "a"), new((MutationKind)4000, new('k', 5_000))];

    private static readonly ReplicatedRow[] Rows = [new(Keys[0], new byte[] { 9, 8 }), new(Keys[1], ReadOnlyMemory<byte>.Empty)];

    /// <summary>Each message, and how it is read.</summary>
    private static (byte[] Bytes, Action<byte[]> Decode)[] Messages =>
    [
        (Bytes(LinkCodec.Encode(Hello)), bytes => LinkCodec.DecodeHello(bytes)),
        (Bytes(LinkCodec.Encode(Batch)), bytes => LinkCodec.DecodeBatch(bytes)),
        (Bytes(LinkCodec.Encode(Enum.GetValues<ApplyOutcome>())), bytes => LinkCodec.DecodeOutcomes(bytes)),
        (Bytes(LinkCodec.Encode(12L)), bytes => LinkCodec.DecodeFloor(bytes)),
        (Bytes(LinkCodec.Encode(Snapshot)), bytes => LinkCodec.DecodeSnapshot(bytes)),
        (Bytes(LinkCodec.Encode(Buckets, "m7")), bytes => LinkCodec.DecodeHashesQuestion(bytes)),
        (Bytes(LinkCodec.Encode(Page)), bytes => LinkCodec.DecodeHashes(bytes)),
        (Bytes(LinkCodec.Encode(Keys)), bytes => LinkCodec.DecodeKeys(bytes)),
        (Bytes(LinkCodec.Encode(Rows, 5)), bytes => LinkCodec.DecodeRows(bytes)),
    ];

    [Fact]
    public void Everything_is_read_as_it_was_written()
    {
        var hello = LinkCodec.DecodeHello(Bytes(LinkCodec.Encode(Hello)));
        Assert.Equal(Hello with { Members = hello.Members, Vector = hello.Vector, Refused = hello.Refused }, hello);
        Assert.Equal(Hello.Members, hello.Members);
        AssertEqual(Vector, hello.Vector);
        Assert.Equal(Hello.Refused, hello.Refused);

        var batch = LinkCodec.DecodeBatch(Bytes(LinkCodec.Encode(Batch)));
        Assert.Equal(Batch.Length, batch.Count);
        for (var index = 0; index < Batch.Length; index++)
        {
            Assert.Equal(Batch[index] with { Body = batch[index].Body }, batch[index]);
            Assert.Equal(Batch[index].Body.ToArray(), batch[index].Body.ToArray());
        }

        Assert.Equal(Enum.GetValues<ApplyOutcome>(), LinkCodec.DecodeOutcomes(Bytes(LinkCodec.Encode(Enum.GetValues<ApplyOutcome>()))));
        Assert.Equal(12L, LinkCodec.DecodeFloor(Bytes(LinkCodec.Encode(12L))));

        var snapshot = LinkCodec.DecodeSnapshot(Bytes(LinkCodec.Encode(Snapshot)));
        Assert.Equal(Snapshot.Digests, snapshot.Digests);
        AssertEqual(Vector, snapshot.Vector);

        foreach (var after in (string?[])[null, "", "m7"])
        {
            var question = LinkCodec.DecodeHashesQuestion(Bytes(LinkCodec.Encode(Buckets, after)));
            Assert.Equal(after, question.After);
            Assert.Equal([.. Buckets], question.Buckets.ToHashSet());
        }

        var page = LinkCodec.DecodeHashes(Bytes(LinkCodec.Encode(Page)));
        Assert.Equal(Page.Next, page.Next);
        Assert.Equal(Page.Rows, page.Rows);
        Assert.Equal(Keys, LinkCodec.DecodeKeys(Bytes(LinkCodec.Encode(Keys))));
        var (rows, answered) = LinkCodec.DecodeRows(Bytes(LinkCodec.Encode(Rows, 5)));
        Assert.Equal(5, answered);
        Assert.Equal(Rows.Select(static row => (row.Key, Convert.ToHexString(row.Body.Span))), rows.Select(static row => (row.Key, Convert.ToHexString(row.Body.Span))));
    }

    [Fact]
    public void Another_version_and_every_shorter_message_are_malformed()
    {
        // Older versions say nothing of refused rows.
        var older = Bytes(LinkCodec.Encode(Hello with { Refused = new Dictionary<LogId, long>() }))[..^1];
        Assert.Empty(LinkCodec.DecodeHello(older).Refused);
        foreach (var (bytes, decode) in Messages)
        {
            for (var length = 0; length < bytes.Length; length++)
            {
                if (bytes.AsSpan(0, length).SequenceEqual(older))
                {
                    continue;
                }

                AssertMalformed(() => decode(bytes[..length]));
            }

            AssertMalformed(() => decode([2, .. bytes[1..]]));
        }
    }

    [Fact]
    public void A_count_takes_no_memory_before_what_it_counts_is_there()
    {
        // A megabyte of which the count of elements speaks for all.
        var bytes = new byte[1 << 20];
        bytes[0] = 1;
        bytes[1] = 0;
        byte[] count = [0xf0, 0xff, 0x3f];
        count.CopyTo(bytes, 2);
        var before = GC.GetAllocatedBytesForCurrentThread();
        Assert.ThrowsAny<MemoryException>(() => LinkCodec.DecodeBatch(bytes));
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 1 << 20);
    }

    /// <summary>Bytes turned, cut out, doubled and drawn: what comes out is a message or malformed, never anything else.</summary>
    [Fact]
    public void Broken_bytes_are_malformed_and_nothing_worse()
    {
        var random = new Random(3);
        foreach (var (bytes, decode) in Messages)
        {
            for (var round = 0; round < 4_000; round++)
            {
                var broken = Break([.. bytes], random);
                try
                {
                    decode(broken);
                }
                catch (MemoryException exception)
                {
                    Assert.Equal(ErrorKind.MalformedRequest, exception.Kind);
                }
            }
        }
    }

    [Fact]
    public void A_greeting_with_more_behind_it_is_read()
    {
        var hello = LinkCodec.DecodeHello((byte[])[.. Bytes(LinkCodec.Encode(Hello)), 1, 2, 3]);
        Assert.Equal(Hello.Log, hello.Log);
    }

    [Theory]
    [InlineData(long.MaxValue)]
    [InlineData(long.MinValue)]
    public void A_wall_clock_beyond_time_is_malformed(long milliseconds) =>
        AssertMalformed(() => LinkCodec.DecodeHello(Bytes(LinkCodec.Encode(Hello with { UnixMilliseconds = milliseconds }))));

    private static byte[] Break(List<byte> bytes, Random random)
    {
        for (var change = random.Next(1, 4); change > 0; change--)
        {
            var at = random.Next(bytes.Count);
            switch (random.Next(4))
            {
                case 0:
                    bytes[at] = (byte)random.Next(256);
                    break;
                case 1:
                    bytes[at] ^= (byte)(1 << random.Next(8));
                    break;
                case 2 when bytes.Count > 2:
                    bytes.RemoveRange(at, random.Next(1, Math.Min(8, bytes.Count - at) + 1));
                    bytes.Add(0);
                    break;
                default:
                    bytes.InsertRange(at, [(byte)random.Next(256), 0xff, 0xff]);
                    break;
            }
        }

        return [.. bytes];
    }

    private static void AssertMalformed(Action decode) => Assert.Equal(ErrorKind.MalformedRequest, Assert.Throws<MemoryException>(decode).Kind);

    private static void AssertEqual(IReadOnlyDictionary<LogId, AppliedSet> expected, IReadOnlyDictionary<LogId, AppliedSet> actual) =>
        Assert.Equal(
            expected.Select(static pair => $"{pair.Key}={pair.Value.Through},{pair.Value.FormatAbove()}").Order(StringComparer.Ordinal),
            actual.Select(static pair => $"{pair.Key}={pair.Value.Through},{pair.Value.FormatAbove()}").Order(StringComparer.Ordinal));

    private static byte[] Bytes(PooledBytes pooled)
    {
        using (pooled)
        {
            return pooled.Memory.ToArray();
        }
    }
}
