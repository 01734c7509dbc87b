using System.Buffers.Binary;
using System.Security.Cryptography;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Core.Replication;

/// <summary>
/// The one binary form of replicated state: what links carry, what digests are taken over, and what a store keeps beside its
/// readable columns. Equal states have equal bytes.
/// <para>
/// Layout: a version byte; the distinct stamps in ascending order; then fields in ascending order of tag, each
/// <c>tag, length, value</c> with variable-length integers. A group's value starts with the index of its stamp. Tags from
/// <see cref="FirstUnknownTag"/> on are groups of newer versions: kept as they are and merged by stamp. The stamp of the first write is
/// left out when it is the oldest of the groups'.
/// </para>
/// </summary>
public static class MemoryCodec
{
    public const int FirstUnknownTag = 33;

    private const byte Version = 1;
    private const int IdTag = 1;
    private const int NameTag = 2;
    private const int BodyTag = 3;
    private const int MetadataTag = 4;
    private const int PriorityTag = 5;
    private const int ConfidenceTag = 6;
    private const int TierTag = 7;
    private const int ExpiryTag = 8;
    private const int ArchiveTag = 9;
    private const int CreatedAtTag = 10;
    private const int UpdatedAtTag = 11;
    private const int CreatedEpochTag = 12;

    /// <summary>Above what programs know that were made before it: they keep the stamp, and pass it on.</summary>
    private const int FirstStampTag = 32;

    /// <summary>The canonical bytes.</summary>
    public static byte[] Encode(MemoryState state)
    {
        var writer = new ByteWriter(state.Body.Value.Content.Length + 512);
        Write(ref writer, state, view: null);
        return writer.ToArray();
    }

    /// <summary>The bytes that, together with the readable columns in <paramref name="view"/>, give the state back: values equal to a column are left out.</summary>
    public static byte[] EncodeBeside(MemoryState state, Memory view)
    {
        var writer = new ByteWriter(128);
        Write(ref writer, state, view);
        return writer.ToArray();
    }

    /// <exception cref="MemoryException"><see cref="ErrorKind.MalformedRequest"/></exception>
    public static MemoryState Decode(ReadOnlyMemory<byte> bytes) => Read(bytes, view: null);

    /// <summary>The name alone, without the cost of the rest; false for what is no state.</summary>
    public static bool TryReadName(ReadOnlyMemory<byte> bytes, out MemoryName name)
    {
        try
        {
            var reader = new ByteReader(bytes);
            reader.ExpectVersion(Version);
            for (var stamps = reader.ReadCount(); stamps > 0; stamps--)
            {
                reader.ReadStamp();
            }

            while (!reader.AtEnd)
            {
                var tag = reader.ReadTag();
                var field = reader.ReadField();
                if (tag == NameTag)
                {
                    field.ReadTag();
                    name = new(field.ReadText(), field.ReadText());
                    return true;
                }
            }
        }
        catch (MemoryException)
        {
            // Whoever takes the row says what is wrong with it.
        }

        name = default;
        return false;
    }

    /// <summary>Undoes <see cref="EncodeBeside"/>.</summary>
    public static MemoryState DecodeBeside(ReadOnlyMemory<byte> bytes, Memory view) => Read(bytes, view);

    /// <summary>The first 128 bits of the SHA-256 of the canonical bytes.</summary>
    public static UInt128 Hash(MemoryState state)
    {
        var writer = new ByteWriter(state.Body.Value.Content.Length + 512);
        Write(ref writer, state, view: null);
        var hash = Hash(writer.Written);
        writer.Dispose();
        return hash;
    }

    public static UInt128 Hash(ReadOnlySpan<byte> canonical)
    {
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(canonical, hash);
        return BinaryPrimitives.ReadUInt128BigEndian(hash);
    }

    public static byte[] Encode(Tombstone tombstone)
    {
        var writer = new ByteWriter(128);
        writer.WriteByte(Version);
        writer.WriteText(tombstone.Id);
        writer.WriteText(tombstone.Namespace);
        writer.WriteStamp(tombstone.Stamp);
        writer.WriteLong(tombstone.DeletedAt.Nanoseconds);
        return writer.ToArray();
    }

    /// <exception cref="MemoryException"><see cref="ErrorKind.MalformedRequest"/></exception>
    public static Tombstone DecodeTombstone(ReadOnlyMemory<byte> bytes)
    {
        var reader = new ByteReader(bytes);
        reader.ExpectVersion(Version);
        return new(reader.ReadText(), reader.ReadText(), reader.ReadStamp(), new(reader.ReadLong()));
    }

    private static void Write(ref ByteWriter writer, MemoryState state, Memory? view)
    {
        var stamps = Stamps(state);
        writer.WriteByte(Version);
        writer.WriteNumber((ulong)stamps.Count);
        foreach (var stamp in stamps)
        {
            writer.WriteStamp(stamp);
        }

        if (view is null)
        {
            Field(ref writer, IdTag, -1, state.Id, static (ref ByteWriter to, string id) => to.WriteText(id));
        }

        Group(ref writer, NameTag, state.Name, stamps, view is not null && state.Name.Value == new MemoryName(view.Namespace, view.Title),
            static (ref ByteWriter to, MemoryName name) =>
            {
                to.WriteText(name.Namespace);
                to.WriteText(name.Title);
            });
        Group(ref writer, BodyTag, state.Body, stamps, view is not null && state.Body.Value.Equals(new(view.Content, view.Tags, view.Source)),
            static (ref ByteWriter to, MemoryBody body) =>
            {
                to.WriteText(body.Content);
                to.WriteText(body.Source);
                to.WriteNumber((ulong)body.Tags.Count);
                foreach (var tag in body.Tags)
                {
                    to.WriteText(tag);
                }
            });
        Group(ref writer, MetadataTag, state.Metadata, stamps, view is not null && state.Metadata.Value.Json == view.Metadata.Json,
            static (ref ByteWriter to, Metadata metadata) => to.WriteText(metadata.Json));
        Group(ref writer, PriorityTag, state.Priority, stamps, view is not null && state.Priority.Value == view.Priority,
            static (ref ByteWriter to, int priority) => to.WriteByte((byte)priority));
        Group(ref writer, ConfidenceTag, state.Confidence, stamps, view is not null && state.Confidence.Value.Equals(view.Confidence),
            static (ref ByteWriter to, double confidence) => to.WriteLong(BitConverter.DoubleToInt64Bits(confidence)));
        if (view is null || view.Tier != state.Tier)
        {
            Field(ref writer, TierTag, -1, state.Tier, static (ref ByteWriter to, Tier tier) => to.WriteByte((byte)tier));
        }

        Group(ref writer, ExpiryTag, state.Expiry, stamps, view is not null && state.Expiry.Value == view.ExpiresAt,
            static (ref ByteWriter to, Timestamp? expiry) => to.WriteOptional(expiry));
        if (state.Archive is { } archive)
        {
            Group(ref writer, ArchiveTag, archive, stamps, elided: false, static (ref ByteWriter to, ArchiveMark? mark) =>
            {
                to.WriteByte(mark is null ? (byte)0 : (byte)1);
                if (mark is not null)
                {
                    to.WriteLong(mark.At.Nanoseconds);
                    to.WriteText(mark.Reason);
                    to.WriteOptional(mark.ActedOn);
                }
            });
        }

        if (view is null || view.CreatedAt != state.CreatedAt)
        {
            Field(ref writer, CreatedAtTag, -1, state.CreatedAt, static (ref ByteWriter to, Timestamp at) => to.WriteLong(at.Nanoseconds));
        }

        if (view is null || view.UpdatedAt != state.UpdatedAt)
        {
            Field(ref writer, UpdatedAtTag, -1, state.UpdatedAt, static (ref ByteWriter to, Timestamp at) => to.WriteLong(at.Nanoseconds));
        }

        if (state.CreatedEpoch != 0)
        {
            Field(ref writer, CreatedEpochTag, -1, state.CreatedEpoch, static (ref ByteWriter to, long epoch) => to.WriteLong(epoch));
        }

        if (state.FirstStamp is { } first)
        {
            Field(ref writer, FirstStampTag, stamps.IndexOf(first), 0, static (ref ByteWriter _, int _) => { });
        }

        foreach (var unknown in state.Unknown)
        {
            Field(ref writer, unknown.Tag, stamps.IndexOf(unknown.Stamp), unknown.Value, static (ref ByteWriter to, ReadOnlyMemory<byte> value) => to.WriteBytes(value.Span));
        }
    }

    private delegate void WriteValue<in T>(ref ByteWriter writer, T value);

    private static void Group<T>(ref ByteWriter writer, int tag, Stamped<T> group, List<Stamp> stamps, bool elided, WriteValue<T> write)
    {
        var index = stamps.IndexOf(group.Stamp);
        if (elided)
        {
            writer.WriteNumber((ulong)tag);
            writer.WriteNumber((ulong)ByteWriter.SizeOf((ulong)index));
            writer.WriteNumber((ulong)index);
        }
        else
        {
            Field(ref writer, tag, index, group.Value, write);
        }
    }

    private static void Field<T>(ref ByteWriter writer, int tag, int stampIndex, T value, WriteValue<T> write)
    {
        writer.WriteNumber((ulong)tag);
        var mark = writer.BeginLength();
        if (stampIndex >= 0)
        {
            writer.WriteNumber((ulong)stampIndex);
        }

        write(ref writer, value);
        writer.EndLength(mark);
    }

    private static List<Stamp> Stamps(MemoryState state)
    {
        var stamps = new List<Stamp>(2);
        Add(stamps, state.Name.Stamp);
        Add(stamps, state.Body.Stamp);
        Add(stamps, state.Metadata.Stamp);
        Add(stamps, state.Priority.Stamp);
        Add(stamps, state.Confidence.Stamp);
        Add(stamps, state.Expiry.Stamp);
        if (state.Archive is { } archive)
        {
            Add(stamps, archive.Stamp);
        }

        if (state.FirstStamp is { } first)
        {
            Add(stamps, first);
        }

        foreach (var unknown in state.Unknown)
        {
            Add(stamps, unknown.Stamp);
        }

        if (stamps.Count > 1)
        {
            stamps.Sort();
        }

        return stamps;

        static void Add(List<Stamp> stamps, Stamp stamp)
        {
            if (!stamps.Contains(stamp))
            {
                stamps.Add(stamp);
            }
        }
    }

    private static MemoryState Read(ReadOnlyMemory<byte> bytes, Memory? view)
    {
        var reader = new ByteReader(bytes);
        reader.ExpectVersion(Version);
        var stamps = new Stamp[reader.ReadCount()];
        for (var index = 0; index < stamps.Length; index++)
        {
            stamps[index] = reader.ReadStamp();
        }

        var id = view?.Id;
        Stamped<MemoryName>? name = null;
        Stamped<MemoryBody>? body = null;
        Stamped<Metadata>? metadata = null;
        Stamped<int>? priority = null;
        Stamped<double>? confidence = null;
        var tier = view?.Tier;
        Stamped<Timestamp?>? expiry = null;
        Stamped<ArchiveMark?>? archive = null;
        var createdAt = view?.CreatedAt;
        var updatedAt = view?.UpdatedAt;
        long epoch = 0;
        Stamp? first = null;
        List<UnknownField>? unknown = null;
        while (!reader.AtEnd)
        {
            var tag = reader.ReadTag();
            var field = reader.ReadField();
            switch (tag)
            {
                case IdTag:
                    id = field.ReadText();
                    break;
                case NameTag:
                    var nameStamp = field.ReadIndexed(stamps);
                    name = new(field.AtEnd ? new(Known(view).Namespace, Known(view).Title) : new(field.ReadText(), field.ReadText()), nameStamp);
                    break;
                case BodyTag:
                    var bodyStamp = field.ReadIndexed(stamps);
                    body = new(field.AtEnd ? new(Known(view).Content, Known(view).Tags, Known(view).Source) : ReadBody(ref field), bodyStamp);
                    break;
                case MetadataTag:
                    var metadataStamp = field.ReadIndexed(stamps);
                    metadata = new(field.AtEnd ? Known(view).Metadata : Metadata.FromCanonical(field.ReadText()), metadataStamp);
                    break;
                case PriorityTag:
                    var priorityStamp = field.ReadIndexed(stamps);
                    priority = new(field.AtEnd ? Known(view).Priority : field.ReadByte(), priorityStamp);
                    break;
                case ConfidenceTag:
                    var confidenceStamp = field.ReadIndexed(stamps);
                    confidence = new(field.AtEnd ? Known(view).Confidence : BitConverter.Int64BitsToDouble(field.ReadLong()), confidenceStamp);
                    break;
                case TierTag:
                    tier = (Tier)field.ReadByte();
                    break;
                case ExpiryTag:
                    var expiryStamp = field.ReadIndexed(stamps);
                    expiry = new(field.AtEnd ? Known(view).ExpiresAt : field.ReadOptional(), expiryStamp);
                    break;
                case ArchiveTag:
                    var archiveStamp = field.ReadIndexed(stamps);
                    archive = new(field.ReadByte() == 0 ? null : new(new(field.ReadLong()), field.ReadText(), field.ReadOptional()), archiveStamp);
                    break;
                case CreatedAtTag:
                    createdAt = new(field.ReadLong());
                    break;
                case UpdatedAtTag:
                    updatedAt = new(field.ReadLong());
                    break;
                case CreatedEpochTag:
                    epoch = field.ReadLong();
                    break;
                case FirstStampTag:
                    first = field.ReadIndexed(stamps);
                    break;
                case >= FirstUnknownTag:
                    (unknown ??= []).Add(new(tag, field.ReadIndexed(stamps), field.ReadRest()));
                    break;
                default:
                    throw ByteReader.Malformed();
            }
        }

        if (id is null || name is null || body is null || metadata is null || priority is null || confidence is null || tier is null
            || tier > Tier.Long || expiry is null || createdAt is null || updatedAt is null)
        {
            throw ByteReader.Malformed();
        }

        var state = new MemoryState
        {
            Id = id,
            Name = name.Value,
            Body = body.Value,
            Metadata = metadata.Value,
            Priority = priority.Value,
            Confidence = confidence.Value,
            Tier = tier.Value,
            Expiry = expiry.Value,
            Archive = archive,
            CreatedAt = createdAt.Value,
            UpdatedAt = updatedAt.Value,
            CreatedEpoch = epoch,
            FirstStamp = first,
            Unknown = unknown ?? [],
        };
        return first is null || first != state.OldestOfGroups ? state : throw ByteReader.Malformed();
    }

    private static MemoryBody ReadBody(ref ByteReader field)
    {
        var content = field.ReadText();
        var source = field.ReadText();
        var tags = new string[field.ReadCount()];
        for (var index = 0; index < tags.Length; index++)
        {
            tags[index] = field.ReadText();
        }

        return new(content, tags, source);
    }

    private static Memory Known(Memory? view) => view ?? throw ByteReader.Malformed();
}
