using System.Globalization;
using System.Text.Json.Nodes;
using Microsoft.OpenApi;
using OrleansMemory.Core;
using OrleansMemory.Core.Backfills;
using OrleansMemory.Core.Curation;
using OrleansMemory.Core.Governance;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Messaging;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Api.OpenApi;

/// <summary>The shapes of bodies and answers; limits and word lists come from where the rules read them.</summary>
internal static class ApiSchemas
{
    public static IEnumerable<(string Name, OpenApiSchema Schema)> All(OpenApiDocument document)
    {
        IOpenApiSchema Ref(string name) => new OpenApiSchemaReference(name, document);
        IOpenApiSchema ListOf(string name) => List(Ref(name));

        (string, IOpenApiSchema)[] memory =
        [
            ("access_count", Integer(0, MemoryLimits.MaxAccessCount)),
            ("confidence", Confidence()),
            ("content", Text("At most 65,536 bytes.")),
            ("created_at", Instant()),
            ("expires_at", Instant("Absent when it never expires.")),
            ("id", Text("1 to 128 bytes.")),
            ("last_accessed_at", Instant("Absent before the first recall.")),
            ("metadata", AnyObject("At most 65,536 bytes and 32 levels.")),
            ("namespace", Text("At most 512 characters and 8 levels, separated by slashes.")),
            ("priority", Priority()),
            ("source", Words(ClosedSets.Sources)),
            ("tags", Tags()),
            ("tier", Tiers()),
            ("title", Text("At most 512 characters; unique in its namespace.")),
            ("updated_at", Instant()),
        ];
        string[] always = ["access_count", "confidence", "content", "created_at", "id", "metadata", "namespace", "priority", "source", "tags", "tier", "title", "updated_at"];
        (string, IOpenApiSchema)[] draft =
        [
            ("agent_id", Nullable(Text("The author; wins over X-Agent-Id."))),
            ("confidence", Confidence()),
            ("content", Text("At most 65,536 bytes.")),
            ("expires_at", Nullable(Instant("In the future; wins over ttl_secs."))),
            ("metadata", AnyObject("At most 65,536 bytes and 32 levels.")),
            ("namespace", Text("global unless told.")),
            ("priority", Priority()),
            ("scope", Nullable(Words(ClosedSets.Scopes))),
            ("source", Words(ClosedSets.Sources)),
            ("tags", Tags()),
            ("tier", Tiers()),
            ("title", Text("At most 512 characters.")),
            ("ttl_secs", Nullable(Integer(1, MemoryLimits.MaxTtlSeconds))),
        ];

        // Only of a node among others.
        (string, IOpenApiSchema)[] quorum =
        [
            ("durability", Words([Durabilities.Quorum, Durabilities.BelowQuorum])),
            ("quorum_acks", Integer(1)),
            ("stamp", Text("Orders this write among all others.")),
        ];

        yield return ("Error", Object(["code", "error"],
            ("code", Text("What went wrong, for machines.")),
            ("error", Text("What went wrong, for people."))));
        yield return ("Unavailable", Object(["code", "error"],
            ("code", Text("quorum_not_met: too few nodes; else why not.")),
            ("error", Text("quorum_not_met, or what is wrong, for people.")),
            ("got", Integer(0)),
            ("id", Text("Of a memory that was stored here and will reach the others.")),
            ("message", Text("What is wrong, for people.")),
            ("needed", Integer(1)),
            ("outcome", Words([QuorumException.NotStored, QuorumException.StoredLocally, QuorumException.Unknown])),
            ("reason", Words(
            [
                QuorumReasons.ClockSkew, QuorumReasons.Draining, QuorumReasons.Fenced, QuorumReasons.Refused, QuorumReasons.StoreFailed,
                QuorumReasons.Timeout, QuorumReasons.Unreachable,
            ])),
            ("stamp", Text("Of a write that was stored here."))));
        yield return ("Memory", Object(always, memory));
        yield return ("UpdatedMemory", Object(always, [.. memory, .. quorum]));
        yield return ("MemoryDraft", Object(["content", "title"], draft));
        yield return ("MemoryDrafts", new()
        {
            OneOf = [ListOf("MemoryDraft"), Object(["memories"], ("memories", ListOf("MemoryDraft")))],
        });
        yield return ("MemoryPatch", Object([],
            ("agent_id", Nullable(Text("Who changes it; wins over X-Agent-Id."))),
            ("confidence", Nullable(Confidence())),
            ("content", Nullable(Text("At most 65,536 bytes."))),
            ("expires_at", Nullable(Text("RFC 3339, past allowed; null or an empty string clears it."))),
            ("metadata", Nullable(AnyObject("Replaces the whole object; the stored agent_id is kept."))),
            ("namespace", Nullable(Text("Moves the memory."))),
            ("priority", Nullable(Priority())),
            ("tags", Nullable(Tags())),
            ("tier", Nullable(Tiers())),
            ("title", Nullable(Text("At most 512 characters.")))));
        yield return ("StoredMemory", Object(
            [.. always, "agent_id"],
            [
                .. memory, .. quorum, ("agent_id", Text("The author as stored.")),
                ("contradictions_checked", new OpenApiSchema { Type = JsonSchemaType.Boolean, Description = "Present, and false, when nobody looked for contradictions: too many writes were under way." }),
                ("potential_contradictions", new OpenApiSchema { Type = JsonSchemaType.Array, Items = Text(null), MaxItems = SimilarMemories.MostIds, Description = "Ids of memories of the namespace with a similar title; absent when there is none." }),
            ]));
        yield return ("PromotedMemory", Object([.. always, "promoted"], [.. memory, .. quorum, ("promoted", Boolean())]));
        yield return ("MemoryWithLinks", Object([.. always, "links", "memory"], [.. memory, ("links", ListOf("Link")), ("memory", Ref("Memory"))]));
        yield return ("RankedMemory", Object([.. always, "score"], [.. memory, ("score", new OpenApiSchema { Type = JsonSchemaType.Number, Description = "Rounded to 3 decimals." })]));
        yield return ("MemoryPage", Object(["count", "memories"],
            ("count", Integer(0)),
            ("memories", ListOf("Memory")),
            ("next_cursor", Text("For the next page; absent on the last."))));
        yield return ("ExpandQueryRequest", Object(["query"], ("query", Text("What is looked for."))));
        yield return ("ExpandedQuery", Object(["expanded_terms", "original"], ("expanded_terms", List(Text("A word or phrase near it."))), ("original", Text("The query."))));
        yield return ("AutoTagRequest", Object(["id"], ("agent_id", Nullable(Text("Who tags; wins over X-Agent-Id."))), ("id", Text("Of a memory, or a prefix that only one has."))));
        yield return ("AutoTags", Object(["all_tags", "id", "new_tags"], ("all_tags", Tags()), ("id", Text("Of the memory.")), ("new_tags", Tags())));
        yield return ("ContradictionRequest", Object(["id_a", "id_b"], ("id_a", Text("Of a memory.")), ("id_b", Text("Of the other."))));
        yield return ("NamedMemory", Object(["id", "title"], ("id", Text("Of the memory.")), ("title", Text("Its title."))));
        yield return ("Contradiction", Object(["contradicts", "memory_a", "memory_b"], ("contradicts", Boolean()), ("memory_a", Ref("NamedMemory")), ("memory_b", Ref("NamedMemory"))));
        yield return ("BulkResult", Object(["created", "errors", "ids", "results"],
            ("created", Integer(0)),
            ("errors", List(Text("title: reason"))),
            ("ids", List(Text("Of the rows that were stored."))),
            ("results", List(Object([],
                [.. quorum.Append(("got", Integer(0))).Append(("needed", Integer(1))).Append(("message", Text("Of a row that reached too few nodes."))),
                ("outcome", Text("Of a row that reached too few nodes.")),
                ("reason", Text("Of a row that reached too few nodes.")),
                ("code", Text("Of a row that was refused.")),
                ("created", new OpenApiSchema { Type = JsonSchemaType.Boolean, Description = "False: it changed a memory that was there." }),
                ("error", Text("Of a row that was refused.")),
                ("id", Text("Of a row that was stored."))])))));
        yield return ("Deleted", Object(["deleted", "id"], [.. quorum, ("deleted", Boolean()), ("id", Text(null))]));
        yield return ("SearchResult", Object(["count", "memories", "query", "results"],
            ("complete", Completeness()),
            ("count", Integer(0)),
            ("memories", ListOf("Memory")),
            ("query", Text(null)),
            ("results", ListOf("Memory"))));
        yield return ("RecallRequest", Object(["context"],
            ("as_agent", Nullable(Text("The caller's place in the namespace tree."))),
            ("budget_tokens", Nullable(Integer(0))),
            ("context", Text("What the caller is doing.")),
            ("context_tokens", Nullable(List(Text("A word of what is around it; they have a share in its vector.")))),
            ("limit", Nullable(Integer(0))),
            ("namespace", Nullable(Text(null))),
            ("since", Nullable(Instant())),
            ("tags", Nullable(Text("One exact tag."))),
            ("tier", Nullable(Text("keyword: by words, also where there are vectors."))),
            ("until", Nullable(Instant()))));
        yield return ("RecallResult", Object(["count", "memories", "mode", "recall_mode", "tokens_used"],
            ("budget_tokens", Integer(0)),
            ("complete", Completeness()),
            ("count", Integer(0)),
            ("memories", ListOf("RankedMemory")),
            ("degraded", Text("Why it is less than the node's models promise; absent when it is not.")),
            ("mode", Words([RecallModes.Hybrid, RecallModes.HybridReranked, RecallModes.Keyword])),
            ("recall_mode", Words(["degraded", "hybrid", "keyword_only"])),
            ("tokens_used", Integer(0))));
        yield return ("ForgetRequest", Object([],
            ("dry_run", Nullable(Boolean())),
            ("namespace", Nullable(Text(null))),
            ("pattern", Nullable(Text("Words, of which any must occur."))),
            ("tier", Nullable(Tiers()))));
        yield return ("Forgotten", Object(["deleted"],
            ("deleted", Integer(0)),
            ("dry_run", Boolean()),
            ("would_delete", new OpenApiSchema { Type = JsonSchemaType.Integer, Minimum = "0", Description = "Of a dry run." })));
        yield return ("Link", Object(["created_at", "relation", "source_id", "target_id"],
            ("created_at", Instant()), ("relation", Words(ClosedSets.Relations)), ("source_id", Text(null)), ("target_id", Text(null))));
        yield return ("LinkRequest", Object(["source_id", "target_id"],
            ("agent_id", Nullable(Text("Who links; wins over X-Agent-Id."))),
            ("relation", Words(ClosedSets.Relations)),
            ("source_id", Text(null)),
            ("target_id", Text(null))));
        yield return ("LinkedAnswer", Object(["created_at", "linked", "relation", "source_id", "target_id"],
            [.. quorum, ("created_at", Instant()), ("linked", Boolean()), ("relation", Words(ClosedSets.Relations)), ("source_id", Text(null)), ("target_id", Text(null))]));
        yield return ("Links", Object(["count", "links"], ("count", Integer(0)), ("links", ListOf("Link"))));
        yield return ("NamespaceCount", Object(["count", "namespace"], ("count", Integer(0)), ("namespace", Text(null))));
        yield return ("PolicyRequest", Object(["quorum_writes"],
            ("quorum_writes", Nullable(Integer(1)))));
        yield return ("Policy", Object(["effective_quorum_writes", "namespace", "quorum_writes"],
            ("effective_quorum_writes", Integer(1)), ("namespace", Text(null)), ("quorum_writes", Nullable(Integer(1)))));
        yield return ("Statistics", Object(["by_namespace", "by_tier", "db_size_bytes", "expiring_soon", "links_count", "total"],
            ("by_namespace", ListOf("NamespaceCount")),
            ("by_tier", List(Object(["count", "tier"], ("count", Integer(0)), ("tier", Tiers())))),
            ("db_size_bytes", Integer(0)),
            ("expiring_soon", Integer(0)),
            ("links_count", Integer(0)),
            ("total", Integer(0))));
        yield return ("ArchivePage", Object(["archived", "count"], ("archived", ListOf("ArchivedMemory")), ("count", Integer(0))));
        yield return ("ArchivedMemory", Object([.. always, "archive_reason", "archived_at", "expires_at", "last_accessed_at", "tag_list"],
            [
                .. memory.Where(static field => field.Item1 is not ("tags" or "expires_at" or "last_accessed_at")),
                ("archive_reason", Words([ArchiveMark.Consolidated, ArchiveMark.Forgotten, ArchiveMark.Expired])),
                ("archived_at", Instant()),
                ("expires_at", Nullable(Instant())),
                ("last_accessed_at", Nullable(Instant())),
                ("tag_list", Tags()),
                ("tags", Text("A JSON array of strings, as text.")),
            ]));
        yield return ("Purged", Object(["purged"], ("purged", Integer(0))));
        yield return ("ArchiveStatistics", Object(["archived_total", "by_namespace"], ("archived_total", Integer(0)), ("by_namespace", ListOf("NamespaceCount"))));
        yield return ("Restored", Object(["id", "restored"], [("id", Text(null)), ("restored", Boolean()), .. quorum]));
        (string, IOpenApiSchema)[] agent =
        [
            ("agent_id", Text(null)), ("agent_type", Text("One of the known ones, or ai: and a name.")), ("capabilities", Tags()), ("last_seen_at", Instant()), ("registered_at", Instant()),
        ];
        yield return ("Agents", Object(["agents", "count"],
            ("agents", List(Object(["agent_id", "agent_type", "capabilities", "last_seen_at", "registered_at"], agent))), ("count", Integer(0))));
        yield return ("AgentRequest", Object(["agent_id", "agent_type"], ("agent_id", Text(null)), ("agent_type", Text(null)), ("capabilities", Tags())));
        yield return ("RegisteredAgent", Object(["agent_id", "agent_type", "capabilities", "id", "last_seen_at", "registered", "registered_at"],
            [.. agent, ("id", Text("Of the registration.")), ("registered", Boolean())]));
        yield return ("Governance", Object(["approver", "delete", "promote", "write"],
            ("approver", new OpenApiSchema { Description = "human, {\"agent\": id} or {\"consensus\": number}." }),
            ("delete", Words(["any", "registered", "owner", "approve"])),
            ("promote", Words(["any", "registered", "owner", "approve"])),
            ("write", Words(["any", "registered", "owner", "approve"]))));
        yield return ("StandardRequest", Object([],
            ("governance", Ref("Governance")), ("id", Text("Of the memory.")), ("namespace", Text("Where the path does not name it.")), ("parent", Nullable(Text("The namespace whose standards come before.")))));
        yield return ("StandardSet", Object(["namespace", "set", "standard_id"],
            ("governance", Ref("Governance")), ("namespace", Text(null)), ("parent", Text(null)), ("set", Boolean()), ("standard_id", Text(null))));
        yield return ("StandardCleared", Object(["cleared", "namespace"], ("cleared", Boolean()), ("namespace", Text(null))));
        (string, IOpenApiSchema)[] standard =
        [
            ("chain", List(Text("Namespaces, the most general first; with inherit."))),
            ("content", Text(null)), ("count", Integer(0)), ("governance", Ref("Governance")), ("namespace", Text(null)), ("parent", Text(null)), ("priority", Priority()),
            ("standard_id", Nullable(Text("Null: none is set."))), ("standards", List(AnyObject("Of those in the chain that have one; with inherit."))), ("title", Text(null)),
            ("warning", Text("The memory is gone.")),
        ];
        yield return ("Standard", Object(["namespace"], standard));
        yield return ("NamespacesOrStandard", Object([], [.. standard, ("namespaces", ListOf("NamespaceCount"))]));
        yield return ("Pending", Object(["action", "pending_id", "reason", "status"],
            ("action", Text("store, update, delete or promote.")), ("memory_id", Text("Of what it would change.")), ("namespace", Text("Of something new.")),
            ("pending_id", Text(null)), ("reason", Text(null)), ("status", Words([PendingStatuses.Pending]))));
        yield return ("PendingActions", Object(["count", "pending"],
            ("count", Integer(0)),
            ("pending", List(Object(["action_type", "approvals", "id", "memory_id", "namespace", "payload", "requested_at", "requested_by", "status"],
                ("action_type", Text(null)),
                ("approvals", List(Object(["agent_id", "approved_at"], ("agent_id", Text(null)), ("approved_at", Instant())))),
                ("decided_at", Instant()),
                ("decided_by", Text(null)),
                ("id", Text(null)),
                ("memory_id", Nullable(Text("Of what it changes, or made."))),
                ("namespace", Text(null)),
                ("payload", AnyObject("The request.")),
                ("requested_at", Instant()),
                ("requested_by", Text(null)),
                ("status", Words([PendingStatuses.Approved, PendingStatuses.Pending, PendingStatuses.Rejected])))))));
        yield return ("PendingApproved", Object(["approved", "decided_by", "executed", "id", "memory_id"],
            ("approved", Boolean()), ("decided_by", Text(null)), ("executed", Boolean()), ("id", Text(null)), ("memory_id", Nullable(Text(null)))));
        yield return ("PendingVoted", Object(["approved", "id", "quorum", "reason", "status", "votes"],
            ("approved", Boolean()), ("id", Text(null)), ("quorum", Integer(1)), ("reason", Text(null)), ("status", Words([PendingStatuses.Pending])), ("votes", Integer(0))));
        yield return ("PendingRejected", Object(["decided_by", "id", "rejected"], ("decided_by", Text(null)), ("id", Text(null)), ("rejected", Boolean())));
        yield return ("MessageRequest", Object(["body", "subject", "to"],
            ("agent_id", Text("Who sends; wins over X-Agent-Id.")), ("body", Text("At most 65,536 bytes.")), ("memory_id", Nullable(Text("What it is about."))),
            ("metadata", AnyObject("Taken as the payload when there is none.")), ("payload", AnyObject("At most 65,536 bytes and 32 levels.")), ("priority", Priority()),
            ("subject", Text("At most 512 characters.")), ("tier", Tiers()), ("to", Text("An agent id."))));
        yield return ("MessageSent", Object(["delivered_at", "from", "id", "namespace", "sent", "tier", "to"],
            ("delivered_at", Instant()), ("from", Text(null)), ("id", Text(null)), ("namespace", Text(null)), ("sent", Boolean()), ("tier", Tiers()), ("to", Text(null))));
        yield return ("Inbox", Object(["agent_id", "count", "messages", "namespace", "unread", "unread_only"],
            ("agent_id", Text(null)),
            ("count", Integer(0)),
            ("messages", List(Object(["access_count", "body", "created_at", "from", "id", "payload", "priority", "read", "received_at", "subject", "tier", "title", "to"],
                ("access_count", Integer(0, 1)), ("body", Text(null)), ("created_at", Instant()), ("from", Text(null)), ("id", Text(null)), ("memory_id", Text(null)),
                ("payload", new OpenApiSchema { Description = "An object that was sent, or the text." }), ("priority", Priority()), ("read", Boolean()), ("received_at", Instant()),
                ("subject", Text(null)), ("tier", Tiers()), ("title", Text("The subject.")), ("to", Text(null))))),
            ("namespace", Text(null)),
            ("unread", Integer(0)),
            ("unread_only", Boolean())));
        yield return ("MessagesRequest", Object(["ids"], ("agent_id", Text("Whose inbox; the caller's without it.")), ("ids", List(Text(null)))));
        yield return ("MessagesRead", Object(["marked"], ("marked", Integer(0))));
        yield return ("MessageDeleted", Object(["deleted"], ("deleted", Boolean())));
        yield return ("ConsolidationRequest", Object(["ids", "summary", "title"],
            ("agent_id", Text("Who consolidates; wins over X-Agent-Id.")),
            ("ids", new OpenApiSchema { Type = JsonSchemaType.Array, Items = Text(null), MinItems = ConsolidationDraft.FewestMemories, MaxItems = ConsolidationDraft.MostMemories }),
            ("namespace", Text("global unless told.")), ("source", Words(ClosedSets.Sources)), ("summary", Text("The content of the new memory.")), ("tier", Tiers()), ("title", Text("At most 512 characters."))));
        yield return ("Consolidated", Object(["consolidated", "curation_id", "id"], [.. quorum, ("consolidated", Integer(2)), ("curation_id", Text("Undoes it.")), ("id", Text("Of the new memory."))]));
        yield return ("ResolveRequest", Object(["loser", "winner"], ("loser", Text("Full id of the memory that no longer holds.")), ("winner", Text("Full id of the one that does."))));
        yield return ("Resolved", Object(["loser", "resolved", "winner"], ("loser", Text(null)), ("resolved", Boolean()), ("winner", Text(null))));
        yield return ("Curation", Object(["action", "at", "by", "id", "namespace", "result_id", "source_ids"],
            ("action", Words(CurationBody.Actions)), ("at", Instant()), ("by", Text(null)), ("id", Text(null)), ("namespace", Text(null)), ("result_id", Text("What was made, or changed.")), ("run_id", Text("The run of the curator that did it; absent: somebody asked for this alone.")),
            ("source_ids", List(Text("What was put away."))), ("undone_at", Instant())));
        yield return ("Curations", Object(["count", "curations"], ("count", Integer(0)), ("curations", ListOf("Curation"))));
        yield return ("SubscriptionRequest", Object([],
            ("agent_filter", Nullable(Text("Only memories of this author."))), ("agent_id", Text("Who subscribes; wins over X-Agent-Id.")), ("callback_url", Text("As url.")),
            ("events", List(Words([MemoryEvents.Any, .. MemoryEvents.Names]))), ("namespace", Nullable(Text("As namespace_filter."))),
            ("namespace_filter", Nullable(Text("This namespace and those below it."))), ("secret", Nullable(Text("Signs what is sent; kept, and never shown."))), ("url", Text("https; http only where private addresses are allowed."))));
        yield return ("Subscription", Object(["agent_id", "created_at", "created_by", "dead_letters", "dispatch_count", "events", "failure_count", "id", "url"],
            ("agent_filter", Nullable(Text(null))), ("agent_id", Text(null)), ("callback_url", Text(null)), ("created_at", Instant()), ("created_by", Text(null)),
            ("dead_letters", List(Object(["at", "error", "event", "event_id", "memory_id"],
                ("at", Instant()), ("error", Text(null)), ("event", Text(null)), ("event_id", Text("X-Ai-Memory-Event-Id: the same in every attempt.")), ("memory_id", Text(null))))),
            ("dispatch_count", Integer(0)), ("events", List(Text(null))), ("failure_count", Integer(0)), ("id", Text(null)), ("last_dispatched_at", Instant()),
            ("namespace", Nullable(Text(null))), ("namespace_filter", Nullable(Text(null))), ("url", Text(null))));
        yield return ("Subscriptions", Object(["count", "subscriptions"], ("count", Integer(0)), ("subscriptions", ListOf("Subscription"))));
        yield return ("Unsubscribed", Object(["deleted", "removed"], ("deleted", Boolean()), ("removed", Boolean())));
        yield return ("SessionRequest", Object([], ("limit", Nullable(Integer(0, MemoryLimits.RecallRows))), ("namespace", Nullable(Text(null)))));
        yield return ("SessionStart", Object(["count", "memories", "mode"],
            ("count", Integer(0)), ("memories", ListOf("RankedMemory")), ("mode", Words(["session_start"])), ("standard", Ref("Memory")), ("standards", ListOf("Memory"))));
        yield return ("Capabilities", Object(["features", "models", "tier", "version"],
            ("features", AnyObject("What works here now.")), ("models", AnyObject("Names; none where there is none.")), ("tier", Words(["keyword"])), ("version", Text(null))));
        yield return ("Collected", Object(["expired_deleted"],
            ("dry_run", Boolean()),
            ("expired_deleted", Integer(0)),
            ("would_delete", new OpenApiSchema { Type = JsonSchemaType.Integer, Minimum = "0", Description = "Of a dry run." })));
        yield return ("Export", Object(["count", "exported_at", "links", "memories"],
            ("count", Integer(0)), ("exported_at", Instant()), ("links", ListOf("Link")), ("memories", ListOf("Memory"))));
        yield return ("ImportRequest", Object(["memories"],
            ("links", Nullable(new OpenApiSchema { Type = JsonSchemaType.Array, Items = Ref("Link") })),
            ("memories", ListOf("Memory"))));
        yield return ("Imported", Object(["errors", "imported"], ("errors", List(Text("id: reason"))), ("imported", Integer(0))));
        yield return ("SyncPush", Object(["memories", "sender_agent_id"],
            ("dry_run", Boolean()),
            ("memories", ListOf("Memory")),
            ("sender_agent_id", Text("Who sends.")),
            ("sender_clock", AnyObject("Without effect."))));
        yield return ("SyncPushed", Object(["applied", "dry_run", "errors", "noop", "receiver_agent_id", "receiver_clock", "skipped"],
            ("applied", Integer(0)),
            ("dry_run", Boolean()),
            ("errors", List(Text("id: reason"))),
            ("noop", Integer(0)),
            ("receiver_agent_id", Text(null)),
            ("receiver_clock", Object(["entries"], ("entries", AnyObject("The latest update time received of the sender.")))),
            ("skipped", Integer(0))));
        yield return ("SyncPage", Object(["count", "limit", "memories"],
            ("count", Integer(0)),
            ("limit", Integer(0, 10_000)),
            ("memories", ListOf("Memory")),
            ("next_cursor", Text("For the next page; absent on the last."))));
        yield return ("Cluster", Object(["clock_ahead_ms", "dead_letters", "head", "log", "node", "nodes", "peers", "quorum_writes", "recovering", "vector"],
            ("clock_ahead_ms", new OpenApiSchema { Type = JsonSchemaType.Integer, Description = "Against the median of the peers' clocks." }),
            ("common_floor", Instant("Below it every node holds every write.")),
            ("dead_letters", Object(["count", "first"],
                ("count", Integer(0)),
                ("first", List(Object(["attempts", "key", "kind", "next_attempt_at", "position", "reason", "refused_at", "stamp"],
                    ("attempts", Integer(1)), ("key", Text(null)), ("kind", Integer(1)), ("next_attempt_at", Instant()), ("position", Text("Its place in its log.")),
                    ("reason", Text("Why it was refused.")), ("refused_at", Instant()), ("stamp", Text(null))))))),
            ("digest", Text("Number and hash of all live rows; when asked for.")),
            ("floor", Instant("Below it this node holds every write.")),
            ("head", Integer(0)),
            ("log", Text("The log that this node writes.")),
            ("node", Text("Its node id.")),
            ("nodes", Integer(1)),
            ("peers", List(Object(["address", "behind_rows", "behind_seconds", "node", "up"],
                ("address", Text(null)),
                ("behind_rows", Integer(0)),
                ("behind_seconds", new OpenApiSchema { Type = JsonSchemaType.Number }),
                ("last_heard_at", Instant()),
                ("node", Nullable(Text("Null before it was heard."))),
                ("problem", Text("Why it does not count.")),
                ("recovering", Boolean()),
                ("up", Boolean())))),
            ("quorum_writes", Integer(1)),
            ("recovering", Boolean()),
            ("vector", AnyObject("For each log, through: all its rows up to there are held; above: ranges beyond a gap."))));
        yield return ("ClusterRequest", Object([],
            ("action", Words(["join", "leave", "list", "status"])), ("agent_id", Nullable(Text("A node id."))), ("endpoint", Nullable(Text("An address.")))));
        (string, IOpenApiSchema)[] member =
        [
            ("agent_id", Text("The node id.")), ("endpoint", Text(null)), ("last_seen_at", Nullable(Instant())), ("status", Words(["healthy", "degraded", "unreachable"])),
        ];
        string[] memberFields = ["agent_id", "endpoint", "last_seen_at", "status"];
        yield return ("ClusterMembers", Object(["peers", "self"], ("peers", List(Object(memberFields, member))), ("self", Object(memberFields, member))));
        yield return ("CuratorOrder", Object([],
            ("dry_run", Boolean()),
            ("exclude_namespaces", List(Text("An exact name."))),
            ("include_namespaces", List(Text("An exact name; without any, all but those that begin with an underscore."))),
            ("max_ops", Integer(1, CuratorOrder.MostOperationsAllowed))));
        yield return ("CuratorReport", Object(
            ["auto_tagged", "autonomy", "completed_at", "contradictions_found", "cycle_duration_ms", "dry_run", "errors", "expired", "memories_eligible", "memories_scanned", "operations_attempted", "operations_skipped_cap", "started_at"],
            ("auto_tagged", Integer(0)),
            ("autonomy", Object(["clusters_formed", "errors", "memories_consolidated", "memories_forgotten", "priority_adjustments", "rollback_entries_written"],
                ("clusters_formed", Integer(0)), ("errors", List(Text(null))), ("memories_consolidated", Integer(0)), ("memories_forgotten", Integer(0)), ("priority_adjustments", Integer(0)),
                ("rollback_entries_written", Integer(0)))),
            ("completed_at", Instant()),
            ("contradictions_found", Integer(0)),
            ("cycle_duration_ms", Integer(0)),
            ("dry_run", Boolean()),
            ("errors", List(Text("A change that was refused, and why."))),
            ("expired", Integer(0)),
            ("memories_eligible", Integer(0)),
            ("memories_scanned", Integer(0)),
            ("operations_attempted", Integer(0)),
            ("operations_skipped_cap", Integer(0)),
            ("run_id", Text("Of its undo records; absent of a dry run.")),
            ("started_at", Instant())));
        yield return ("Curator", Object(["node", "running"], ("last", Ref("CuratorReport")), ("node", Text("Its node id.")), ("running", Boolean())));
        yield return ("CuratorUndo", Object([], ("agent_id", Nullable(Text(null))), ("last", Integer(1)), ("run", Text("Its run_id; or else last."))));
        yield return ("CuratorUndone", Object(["errors", "reversed"], ("errors", List(Text("A record that could not be undone, and why."))), ("reversed", Integer(0))));
        yield return ("GrantRequest", Object(["agent_id"], ("agent_id", Text(null)), ("permission", Words(Permissions.Names))));
        yield return ("Granted", Object(["agent_id", "granted", "memory_id", "permission"],
            ("agent_id", Text(null)), ("granted", Boolean()), ("memory_id", Text(null)), ("permission", Words(Permissions.Names))));
        yield return ("RevokeRequest", Object(["agent_id"], ("agent_id", Text(null))));
        yield return ("Revoked", Object(["changed", "revoked"], ("changed", Boolean()), ("revoked", Boolean())));
        yield return ("Grants", Object(["count", "grants"],
            ("count", Integer(0)),
            ("grants", List(Object(["agent_id", "at", "by", "permission"], ("agent_id", Text(null)), ("at", Instant()), ("by", Text(null)), ("permission", Words(Permissions.Names)))))));
        yield return ("Contradictions", Object(["count", "links", "memories"],
            ("complete", new OpenApiSchema { Type = JsonSchemaType.Boolean, Description = "Present, and false, when there were more memories than were looked at." }),
            ("count", Integer(0)),
            ("links", List(Object(["relation", "source_id", "synthesized", "target_id"],
                ("created_at", Instant("Absent when nobody made the link.")), ("relation", Words(["contradicts"])), ("source_id", Text(null)),
                ("synthesized", new OpenApiSchema { Type = JsonSchemaType.Boolean, Description = "Nobody made the link; the two say different things of one topic." }), ("target_id", Text(null))))),
            ("memories", ListOf("Memory"))));
        yield return ("BackfillAction", Object(["action"],
            ("action", Words([BackfillActions.Pause, BackfillActions.Resume, BackfillActions.Retry, BackfillActions.DryRun])),
            ("step", Nullable(Text("Its name; a dry run without one counts for every step.")))));
        yield return ("Backfills", Object([],
            ("backfills", List(Object(["attempts", "lease_epoch", "percent", "quarantined", "rows_done", "rows_per_second", "rows_total", "state", "step", "version"],
                ("attempts", Integer(0)),
                ("completed_at", Instant()),
                ("eta_seconds", Integer(0)),
                ("last_error", Text(null)),
                ("lease_epoch", Integer(0)),
                ("next_attempt_at", Instant("Of a step that failed.")),
                ("owner", Text("Who runs it now.")),
                ("percent", new OpenApiSchema { Type = JsonSchemaType.Number, Minimum = "0", Maximum = "100" }),
                ("quarantined", Integer(0)),
                ("rows_done", Integer(0)),
                ("rows_per_second", new OpenApiSchema { Type = JsonSchemaType.Number, Minimum = "0" }),
                ("rows_total", Integer(0)),
                ("started_at", Instant()),
                ("state", Words([.. Enum.GetValues<BackfillState>().Select(state => state.Name())])),
                ("step", Text(null)),
                ("version", Integer(1))))),
            ("cluster", List(Object(["complete", "nodes", "step", "version"],
                ("complete", new OpenApiSchema { Type = JsonSchemaType.Boolean, Description = "On every node of the cluster." }),
                ("nodes", List(Object(["at", "complete", "node", "version"],
                    ("at", Instant("When it said so.")), ("complete", Boolean()), ("node", Text(null)), ("version", Integer(1))))),
                ("step", Text(null)),
                ("version", Integer(1))))),
            ("dry_run", List(Object(["remaining", "step", "version"], ("remaining", Integer(0)), ("step", Text(null)), ("version", Integer(1))))),
            ("quarantine", List(Object(["at", "error", "key", "step", "version"],
                ("at", Instant()), ("error", Text(null)), ("key", Text("Of the row: a memory's id.")), ("step", Text(null)), ("version", Integer(1)))))));
        yield return ("Health", Object(["service", "status"],
            ("service", Text(null)), ("status", Words(["ok", "error"])), ("warnings", List(Text("What is unsafe about the set-up.")))));
        yield return ("Status", Object(["status"], ("reason", Text("Why not.")), ("status", Words(["alive", "ready", "not_ready"]))));
        yield return ("MetricsText", Text(null));
    }

    private static OpenApiSchema Object(string[] required, params (string Name, IOpenApiSchema Schema)[] properties) => new()
    {
        Type = JsonSchemaType.Object,
        Required = new SortedSet<string>(required, StringComparer.Ordinal),
        Properties = properties.OrderBy(property => property.Name, StringComparer.Ordinal).ToDictionary(property => property.Name, property => property.Schema),
    };

    private static OpenApiSchema List(IOpenApiSchema items) => new() { Type = JsonSchemaType.Array, Items = items };

    private static OpenApiSchema Text(string? description) => new() { Type = JsonSchemaType.String, Description = description };

    private static OpenApiSchema Completeness() => new()
    {
        Type = JsonSchemaType.Boolean,
        Description = "Present, and false, only when a match may be missing: the index is being rebuilt or is behind, or the words match too much.",
    };

    private static OpenApiSchema Boolean() => new() { Type = JsonSchemaType.Boolean };

    private static OpenApiSchema Instant(string? description = null) => new() { Type = JsonSchemaType.String, Format = "date-time", Description = description };

    private static OpenApiSchema Integer(long least, long? most = null) => new()
    {
        Type = JsonSchemaType.Integer,
        Minimum = least.ToString(CultureInfo.InvariantCulture),
        Maximum = most?.ToString(CultureInfo.InvariantCulture),
    };

    private static OpenApiSchema Confidence() => new() { Type = JsonSchemaType.Number, Minimum = "0", Maximum = "1" };

    private static OpenApiSchema Priority() => Integer(MemoryLimits.MinPriority, MemoryLimits.MaxPriority);

    private static OpenApiSchema Tags() => new() { Type = JsonSchemaType.Array, Items = Text("1 to 128 bytes."), MaxItems = MemoryLimits.Tags };

    private static OpenApiSchema Tiers() => Words([.. Enum.GetValues<Tier>().Select(tier => tier.Name())]);

    private static OpenApiSchema AnyObject(string description) => new() { Type = JsonSchemaType.Object, Description = description };

    private static OpenApiSchema Words(IEnumerable<string> words) => new()
    {
        Type = JsonSchemaType.String,
        Enum = [.. words.Order(StringComparer.Ordinal).Select(word => (JsonNode)word)],
    };

    private static OpenApiSchema Nullable(OpenApiSchema schema)
    {
        schema.Type |= JsonSchemaType.Null;
        schema.Enum?.Add(JsonNullSentinel.JsonNull);
        return schema;
    }
}
