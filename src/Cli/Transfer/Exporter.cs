using System.Text.Json;
using OrleansMemory.Cli.Output;
using OrleansMemory.Core;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Cli.Transfer;

/// <summary>
/// Writes the store as one indented object: <c>count</c>, <c>exported_at</c>, <c>links</c>, <c>memories</c>. The count comes first
/// and is known last, so the memories wait in a temporary file; memory stays bounded.
/// </summary>
internal static class Exporter
{
    private const int FlushBytes = 64 * 1024;

    public static async Task WriteAsync(IMemoryService service, Report report, Timestamp exportedAt)
    {
        var output = report.Raw();
        await using var held = TemporaryFile.Create();
        var count = await HoldMemoriesAsync(service, held, report);
        await using (var writer = Report.JsonWriter(output, indented: true))
        {
            writer.WriteStartObject();
            writer.WriteNumber("count", count);
            writer.WriteString("exported_at", exportedAt.ToString());
            writer.WriteStartArray("links");
            await foreach (var link in service.ExportLinksAsync())
            {
                MemoryJson.WriteLink(writer, link);
                await FlushWhenFullAsync(writer);
            }

            writer.WriteEndArray();
        }

        // Both documents are objects: the second one's brace goes, its members follow those of the first.
        output.WriteByte((byte)',');
        held.Position = 1;
        await held.CopyToAsync(output);
        output.WriteByte((byte)'\n');
        await output.FlushAsync();
    }

    private static async Task<long> HoldMemoriesAsync(IMemoryService service, Stream held, Report report)
    {
        long count = 0;
        using var progress = new ProgressLine(report, "exporting");
        var total = report.ShowsProgress ? (await service.StatisticsAsync()).Total : 0;
        await using var writer = Report.JsonWriter(held, indented: true);
        writer.WriteStartObject();
        writer.WriteStartArray("memories");
        await foreach (var memory in service.ExportMemoriesAsync())
        {
            MemoryJson.WriteSorted(writer, memory);
            progress.Show(++count, total);
            await FlushWhenFullAsync(writer);
        }

        writer.WriteEndArray();
        writer.WriteEndObject();
        return count;
    }

    private static async ValueTask FlushWhenFullAsync(Utf8JsonWriter writer)
    {
        if (writer.BytesPending > FlushBytes)
        {
            await writer.FlushAsync();
        }
    }
}
