using System.Text.Json;

namespace OrleansMemory.Api.Json;

/// <param name="Rows">As many as were sent.</param>
internal sealed record SyncBody(string SenderAgentId, List<ImportRow> Rows, bool DryRun);

/// <summary>Reads what a node of the peer system pushes. Its clock is a watermark that says nothing here, and is passed over.</summary>
internal static class SyncReader
{
    public static SyncBody Read(ref Utf8JsonReader reader)
    {
        JsonFields.Object(ref reader, "body");
        string? sender = null;
        List<ImportRow>? rows = null;
        var dryRun = false;
        while (JsonFields.NextProperty(ref reader))
        {
            if (reader.ValueTextEquals("sender_agent_id"u8))
            {
                reader.Read();
                sender = JsonFields.Text(ref reader, "sender_agent_id");
            }
            else if (reader.ValueTextEquals("memories"u8))
            {
                reader.Read();
                rows = MemoryReader.ReadMemories(ref reader, "sync_push limited to 1000 memories per request");
            }
            else if (reader.ValueTextEquals("dry_run"u8))
            {
                reader.Read();
                dryRun = JsonFields.Boolean(ref reader, "dry_run");
            }
            else
            {
                reader.Read();
                reader.Skip();
            }
        }

        return new(sender ?? throw JsonFields.Missing("sender_agent_id"), rows ?? throw JsonFields.Missing("memories"), dryRun);
    }
}
