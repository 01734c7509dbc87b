using OrleansMemory.Api.Json;
using OrleansMemory.Api.Routes;
using OrleansMemory.Core;
using OrleansMemory.Core.Curation;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Api.Mcp;

/// <summary>One memory at a time, its links, and what is made of several.</summary>
internal static class MemoryTools
{
    /// <summary>Of a summary that a model wrote.</summary>
    private const int PreviewCharacters = 200;

    private static readonly ToolParameter Id = new("id", ToolSchema.Text("An id, or a prefix that only one memory has."), Required: true);

    public static IEnumerable<ToolDefinition> All { get; } =
    [
        new(
            "memory_store",
            "Store a memory",
            "Keep something for later sessions. A memory of the same title in the same namespace is updated.",
            ToolEffect.Adds,
            [
                new("title", ToolSchema.Text("Short and particular; unique in its namespace.", most: MemoryLimits.TitleCharacters), Required: true),
                new("content", ToolSchema.Text("At most 65,536 bytes."), Required: true),
                new("tier", ToolSchema.Tiers("mid")),
                new("namespace", ToolSchema.Text("A path such as project/area; global when absent.")),
                new("tags", ToolSchema.List(ToolSchema.Text(most: MemoryLimits.TagBytes), most: MemoryLimits.Tags)),
                new("priority", ToolSchema.Integer(MemoryLimits.MinPriority, MemoryLimits.MaxPriority, 5)),
                new("confidence", ToolSchema.Number(0, 1, 1)),
                new("source", ToolSchema.Words(ToolSchema.Sorted(ClosedSets.Sources), standard: "claude")),
                new("metadata", ToolSchema.AnyObject("At most 65,536 bytes and 32 levels.")),
                new("agent_id", ToolSchema.Text("The author; the caller when absent.")),
                new("scope", ToolSchema.Words(ToolSchema.Sorted(ClosedSets.Scopes), "Who sees it: private when absent.")),
            ],
            ToolSchema.OrPending(ToolSchema.Object(
                ["id", "namespace", "tier", "title"],
                ("action", ToolSchema.Text()), ("agent_id", ToolSchema.OrNull(ToolSchema.Text())), ("duplicate", ToolSchema.Boolean()), ("durability", ToolSchema.Text()), ("id", ToolSchema.Text()),
                ("namespace", ToolSchema.Text()), ("potential_contradictions", ToolSchema.List(ToolSchema.Text())), ("quorum_acks", ToolSchema.Integer(1)), ("stamp", ToolSchema.Text()), ("tier", ToolSchema.Tiers()),
                ("title", ToolSchema.Text()))),
            StoreAsync)
        { IsCore = true, IsIdempotent = true },
        new(
            "memory_get",
            "Get a memory",
            "One memory with its whole content and its links.",
            ToolEffect.Reads,
            [Id],
            ToolSchema.Memory(("links", ToolSchema.List(ToolSchema.Link()))),
            GetAsync)
        { IsCore = true },
        new(
            "memory_update",
            "Update a memory",
            "Change the fields that are given; the others stay.",
            ToolEffect.Destroys,
            [
                Id,
                new("title", ToolSchema.Text(most: MemoryLimits.TitleCharacters)),
                new("content", ToolSchema.Text("At most 65,536 bytes.")),
                new("tier", ToolSchema.Tiers()),
                new("namespace", ToolSchema.Text("Moves the memory.")),
                new("tags", ToolSchema.List(ToolSchema.Text(most: MemoryLimits.TagBytes), most: MemoryLimits.Tags)),
                new("priority", ToolSchema.Integer(MemoryLimits.MinPriority, MemoryLimits.MaxPriority)),
                new("confidence", ToolSchema.Number(0, 1)),
                new("expires_at", ToolSchema.Text("RFC 3339; an empty text clears it.")),
                new("metadata", ToolSchema.AnyObject("Replaces the whole object; the author is kept.")),
            ],
            ToolSchema.OrPending(ToolSchema.Object(["memory", "updated"], ("memory", ToolSchema.Memory()), ("updated", ToolSchema.Boolean()))),
            UpdateAsync)
        { IsIdempotent = true },
        new(
            "memory_delete",
            "Delete a memory",
            "Delete a memory for good. memory_forget puts memories away instead.",
            ToolEffect.Destroys,
            [Id],
            ToolSchema.OrPending(ToolSchema.Object(["deleted"], ("deleted", ToolSchema.Boolean()), ("durability", ToolSchema.Text()), ("id", ToolSchema.Text()), ("quorum_acks", ToolSchema.Integer(1)), ("stamp", ToolSchema.Text()))),
            DeleteAsync)
        { IsIdempotent = true },
        new(
            "memory_promote",
            "Promote a memory",
            "Make a memory long-lived; or, with to_namespace, copy it into an ancestor of its namespace and leave it as it is.",
            ToolEffect.Adds,
            [Id, new("to_namespace", ToolSchema.Text("An ancestor of the memory's namespace."))],
            ToolSchema.OrPending(ToolSchema.Object(
                ["mode", "promoted"],
                ("clone_id", ToolSchema.Text()), ("id", ToolSchema.Text()), ("mode", ToolSchema.Words(["tier", "vertical"])), ("promoted", ToolSchema.Boolean()), ("source_id", ToolSchema.Text()),
                ("tier", ToolSchema.Tiers()), ("to_namespace", ToolSchema.Text()))),
            PromoteAsync)
        { IsIdempotent = true },
        new(
            "memory_link",
            "Link two memories",
            "Say how one memory relates to another. An existing link is left as it is.",
            ToolEffect.Adds,
            [
                new("source_id", ToolSchema.Text(), Required: true),
                new("target_id", ToolSchema.Text(), Required: true),
                new("relation", ToolSchema.Words(["related_to", "supersedes", "contradicts", "derived_from"], standard: ClosedSets.DefaultRelation)),
            ],
            ToolSchema.Object(
                ["linked", "relation", "source_id", "target_id"],
                ("created_at", ToolSchema.Text()), ("durability", ToolSchema.Text()), ("linked", ToolSchema.Boolean()), ("quorum_acks", ToolSchema.Integer(1)), ("relation", ToolSchema.Text()),
                ("source_id", ToolSchema.Text()), ("stamp", ToolSchema.Text()), ("target_id", ToolSchema.Text())),
            LinkAsync)
        { IsIdempotent = true },
        new(
            "memory_get_links",
            "Get the links of a memory",
            "Links of a memory in both directions, oldest first.",
            ToolEffect.Reads,
            [new("id", ToolSchema.Text("An exact id."), Required: true)],
            ToolSchema.Object(["count", "links"], ("count", ToolSchema.Integer(0)), ("links", ToolSchema.List(ToolSchema.Link()))),
            GetLinksAsync),
        new(
            "memory_consolidate",
            "Consolidate memories",
            "Make one memory of several, which are archived.",
            ToolEffect.Destroys,
            [
                new("ids", ToolSchema.List(ToolSchema.Text(), "Exact ids, each once.", ConsolidationDraft.FewestMemories, ConsolidationDraft.MostMemories), Required: true),
                new("title", ToolSchema.Text(most: MemoryLimits.TitleCharacters), Required: true),
                new("summary", ToolSchema.Text("What the new memory says; without it a text model writes it.")),
                new("namespace", ToolSchema.Text(standard: ClosedSets.DefaultNamespace)),
            ],
            ToolSchema.OrPending(ToolSchema.Object(
                ["consolidated", "id"],
                ("auto_summary", ToolSchema.Boolean()), ("consolidated", ToolSchema.Integer(0)), ("curation_id", ToolSchema.Text("Undoes it over HTTP.")), ("durability", ToolSchema.Text()),
                ("id", ToolSchema.Text()), ("quorum_acks", ToolSchema.Integer(1)), ("stamp", ToolSchema.Text()), ("summary_preview", ToolSchema.Text()))),
            ConsolidateAsync),
    ];

    private static async Task<ToolAnswer> StoreAsync(ToolCall call)
    {
        var body = call.Arguments.Draft();

        // Who is named in the call, or in what it stores, comes before the caller.
        var agent = body.Draft.AgentId is null && body.Draft.Metadata.Text("agent_id") is { } author ? author : call.Author;
        var draft = body.Draft with { AgentId = agent };
        WriteReceipt receipt;
        IReadOnlyList<string>? similar;
        var stored = false;
        try
        {
            body.RequireMetadata(draft, call.Services.Time);
            (receipt, similar) = await call.Services.SimilarTitles.StoreAsync(call.Node, draft, call.Writes());
            call.Wrote(receipt);
            stored = true;
        }
        finally
        {
            call.Services.Instruments.CountStore(draft.Tier, stored);
        }

        return ToolAnswer.Object(writer =>
        {
            var memory = receipt.Memory;
            if (!receipt.Created)
            {
                writer.WriteString("action"u8, "updated existing memory"u8);
            }

            writer.WriteString("agent_id"u8, memory.Metadata.Text("agent_id"));
            if (!receipt.Created)
            {
                writer.WriteBoolean("duplicate"u8, true);
            }

            QuorumJson.WriteDurability(writer, receipt.Quorum, receipt.Durability);
            writer.WriteString("id"u8, memory.Id);
            writer.WriteString("namespace"u8, memory.Namespace);
            MemoryJson.WriteSimilar(writer, similar);
            QuorumJson.WriteAcks(writer, receipt.Quorum);
            QuorumJson.WriteStamp(writer, receipt.Quorum, receipt.Stamp);
            writer.WriteString("tier"u8, memory.Tier.Name());
            writer.WriteString("title"u8, memory.Title);
        });
    }

    private static async Task<ToolAnswer> GetAsync(ToolCall call)
    {
        var found = await call.Node.GetAsync(MemoryRules.Id(call.Fields.Text("id")), call.Cancellation);
        return ToolAnswer.Json(found, static (writer, found) => MemoryJson.Write(writer, found.Memory, new(Links: found.Links)));
    }

    private static async Task<ToolAnswer> UpdateAsync(ToolCall call)
    {
        var id = MemoryRules.Id(call.Fields.Text("id"));
        var body = call.Arguments.Patch();
        body.RequireMetadata();
        var receipt = call.Wrote(await call.Node.UpdateAsync(id, body.Patch, call.Writes()));
        return ToolAnswer.Object(writer =>
        {
            writer.WritePropertyName("memory"u8);
            MemoryJson.Write(writer, receipt.Memory, new(Receipt: receipt));
            writer.WriteBoolean("updated"u8, true);
        });
    }

    private static async Task<ToolAnswer> DeleteAsync(ToolCall call) =>
        ToolAnswer.Json(call.Wrote(await call.Node.DeleteAsync(MemoryRules.Id(call.Fields.Text("id")), call.Writes())), MemoryRoutes.WriteDeleted);

    private static async Task<ToolAnswer> PromoteAsync(ToolCall call)
    {
        var id = MemoryRules.Id(call.Fields.Text("id"));
        if (call.Fields.TextOrNull("to_namespace") is { } ancestor)
        {
            var (source, copy) = await call.Node.CopyUpAsync(id, ancestor, call.Writes());
            call.Wrote(copy);
            return ToolAnswer.Object(writer =>
            {
                writer.WriteString("clone_id"u8, copy.Memory.Id);
                writer.WriteString("mode"u8, "vertical"u8);
                writer.WriteBoolean("promoted"u8, true);
                writer.WriteString("source_id"u8, source.Id);
                writer.WriteString("to_namespace"u8, copy.Memory.Namespace);
            });
        }

        var receipt = call.Wrote(await call.Node.PromoteAsync(id, call.Writes()));
        return ToolAnswer.Object(writer =>
        {
            writer.WriteString("id"u8, receipt.Memory.Id);
            writer.WriteString("mode"u8, "tier"u8);
            writer.WriteBoolean("promoted"u8, true);
            writer.WriteString("tier"u8, receipt.Memory.Tier.Name());
        });
    }

    private static async Task<ToolAnswer> LinkAsync(ToolCall call)
    {
        var receipt = await call.Node.LinkAsync(
            call.Fields.Text("source_id"), call.Fields.Text("target_id"), call.Fields.TextOrNull("relation") ?? ClosedSets.DefaultRelation, call.Writes());
        call.Wrote(receipt.Position);
        return ToolAnswer.Json(receipt, static (writer, receipt) => MemoryJson.Write(writer, receipt));
    }

    private static async Task<ToolAnswer> GetLinksAsync(ToolCall call) =>
        ToolAnswer.Json(await call.Node.LinksAsync(MemoryRules.Id(call.Fields.Text("id")), call.Cancellation), LinkRoutes.Write);

    private static async Task<ToolAnswer> ConsolidateAsync(ToolCall call)
    {
        var ids = call.Fields.Texts("ids") ?? throw JsonFields.Missing("ids");
        var title = call.Fields.Text("title");
        var given = call.Fields.TextOrNull("summary");
        var summary = given ?? await call.Node.SummariseAsync(ids, call.Cancellation);
        var done = await call.Node.ConsolidateAsync(new(ids, title, summary, call.Fields.TextOrNull("namespace") ?? ClosedSets.DefaultNamespace), call.WritesAs(call.Author));
        call.Wrote(done.Receipt);
        return ToolAnswer.Object(writer =>
        {
            if (given is null)
            {
                writer.WriteBoolean("auto_summary"u8, true);
            }

            CurationRoutes.WriteFields(writer, done);
            if (given is null)
            {
                writer.WriteString("summary_preview"u8, summary.Length <= PreviewCharacters ? summary : string.Concat(summary.EnumerateRunes().Take(PreviewCharacters)));
            }
        });
    }
}
