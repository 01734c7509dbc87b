using System.Text.Json;
using OrleansMemory.Core;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Api.Json;

/// <summary>What answers say of a quorum. A node alone says nothing of it.</summary>
internal static class QuorumJson
{
    /// <summary>Of a write that was acknowledged: what it promises, and the id that stands between in the order of keys.</summary>
    public static void Write(Utf8JsonWriter writer, WriteReceipt receipt)
    {
        WriteDurability(writer, receipt.Quorum, receipt.Durability);
        writer.WriteString("id"u8, receipt.Memory.Id);
        WriteAcks(writer, receipt.Quorum);
        WriteStamp(writer, receipt.Quorum, receipt.Stamp);
    }

    public static void WriteDurability(Utf8JsonWriter writer, QuorumOutcome? quorum, string durability)
    {
        if (quorum is not null)
        {
            writer.WriteString("durability"u8, durability);
        }
    }

    public static void WriteAcks(Utf8JsonWriter writer, QuorumOutcome? quorum)
    {
        if (quorum is not null)
        {
            writer.WriteNumber("quorum_acks"u8, quorum.Got);
        }
    }

    public static void WriteStamp(Utf8JsonWriter writer, QuorumOutcome? quorum, Stamp stamp)
    {
        if (quorum is not null)
        {
            writer.WriteString("stamp"u8, stamp.ToString());
        }
    }

    /// <summary>Of a write, or a quorum read, that was not; the fields of its error, in an object that the caller opened.</summary>
    public static void Write(Utf8JsonWriter writer, QuorumException exception)
    {
        var written = exception.Written as WriteReceipt;
        writer.WriteString("code"u8, exception.Kind.Code);

        // Clients of the peer system look for this word here, and for nothing else.
        writer.WriteString("error"u8, exception.Kind.Code);
        writer.WriteNumber("got"u8, exception.Quorum.Got);
        if (written is not null)
        {
            writer.WriteString("id"u8, written.Memory.Id);
        }

        writer.WriteString("message"u8, exception.Message);
        writer.WriteNumber("needed"u8, exception.Quorum.Needed);
        writer.WriteString("outcome"u8, exception.Outcome);
        writer.WriteString("reason"u8, exception.Quorum.Reason);
        if ((written?.Stamp ?? (exception.Written as LinkReceipt)?.Stamp) is { } stamp)
        {
            writer.WriteString("stamp"u8, stamp.ToString());
        }
    }

    /// <summary>Where the write stands that was not acknowledged, if it was written at all.</summary>
    public static LogPosition? Position(QuorumException exception) => exception.Written switch
    {
        WriteReceipt receipt => receipt.Position,
        LinkReceipt receipt => receipt.Position,
        _ => null,
    };
}
