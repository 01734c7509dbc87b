using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using OrleansMemory.Api.Http;
using OrleansMemory.Api.Json;
using OrleansMemory.Api.OpenApi;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Api.Routes;

/// <summary>The whole store out, and memories with their ids in.</summary>
internal sealed class TransferRoutes(CallerServices callers, TimeProvider time)
{
    /// <summary>What an export gathers before it waits for the reader.</summary>
    private const int FlushBytes = 32 * 1024;

    public static void Map(IEndpointRouteBuilder endpoints)
    {
        var routes = ActivatorUtilities.CreateInstance<TransferRoutes>(endpoints.ServiceProvider);
        endpoints.MapRead("/api/v1/export", routes.ExportAsync, new("export", "Transfer", "Every live memory, oldest first, and the links between them; streamed")
        {
            Answers = [new(200, "Export", "The store. A failure half-way cuts the connection.")],
        });
        endpoints.MapWrite("POST", "/api/v1/import", routes.ImportAsync, new("import", "Transfer", "Take up to 1,000 complete memories, ids and authors kept")
        {
            Headers = [SharedFields.Agent, SharedFields.Quorum],
            Body = "ImportRequest",
            Answers =
            [
                new(200, "Imported", "How many, and what was wrong with the others."),
                SharedFields.BadRequest, SharedFields.TooLarge, SharedFields.MediaType, SharedFields.WrongShape, SharedFields.Unavailable,
            ],
        });
    }

    private async Task ExportAsync(HttpContext context)
    {
        var cancellation = context.RequestAborted;
        var pipe = context.Response.BodyWriter;
        context.Response.ContentType = JsonAnswer.ContentType;

        // Not disposed: that would send half a document when the store fails.
        var writer = new Utf8JsonWriter(pipe, JsonAnswer.WriterOptions);
        writer.WriteStartObject();
        writer.WriteString("exported_at"u8, Timestamp.Now(time).ToString());
        writer.WriteStartArray("links"u8);
        await foreach (var link in callers.Of(context).ExportLinksAsync(cancellation))
        {
            MemoryJson.Write(writer, link);
            await FlushWhenFullAsync();
        }

        writer.WriteEndArray();
        writer.WriteStartArray("memories"u8);
        long count = 0;
        await foreach (var memory in callers.Of(context).ExportMemoriesAsync(cancellation))
        {
            MemoryJson.Write(writer, memory);
            count++;
            await FlushWhenFullAsync();
        }

        writer.WriteEndArray();

        // Known only now; the order of keys carries no meaning.
        writer.WriteNumber("count"u8, count);
        writer.WriteEndObject();
        writer.Flush();
        await pipe.FlushAsync(cancellation);

        async ValueTask FlushWhenFullAsync()
        {
            if (writer.BytesPending + pipe.UnflushedBytes > FlushBytes)
            {
                writer.Flush();
                await pipe.FlushAsync(cancellation);
                cancellation.ThrowIfCancellationRequested();
            }
        }
    }

    private async Task ImportAsync(HttpContext context)
    {
        var (rows, links) = await RequestBody.ReadAsync(context, MemoryReader.ReadDocument);
        var memories = rows.Where(row => row.Memory is not null).Select(row => row.Memory!).ToList();
        var outcomes = await callers.Of(context).ImportAsync(memories, links, new(TrustSource: true), new(Caller.Agent(context), Quorum: Caller.Quorum(context)));
        if (outcomes.LastOrDefault(outcome => outcome.Receipt is not null) is { } last)
        {
            MemoryTokens.Answer(context, last.Receipt!.Position);
        }

        await JsonAnswer.WriteAsync(context, StatusCodes.Status200OK, (rows, links, outcomes), static (writer, answer) =>
        {
            writer.WriteStartObject();
            writer.WriteStartArray("errors"u8);
            var next = 0;
            foreach (var (id, memory, broken) in answer.rows)
            {
                if ((memory is null ? broken : answer.outcomes[next++].Error) is { } error)
                {
                    writer.WriteStringValue($"{id}: {error.Message}");
                }
            }

            foreach (var link in answer.links)
            {
                if (answer.outcomes[next++].Error is { } error)
                {
                    writer.WriteStringValue($"{link.SourceId} -> {link.TargetId}: {error.Message}");
                }
            }

            writer.WriteEndArray();
            writer.WriteNumber("imported"u8, answer.outcomes.Count(outcome => outcome.Receipt is not null));
            writer.WriteEndObject();
        });
    }
}
