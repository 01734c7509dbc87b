namespace OrleansMemory.Api.OpenApi;

/// <summary>What the OpenAPI document says of one route.</summary>
/// <param name="Id">The operation id.</param>
/// <param name="Group">The tag it is listed under.</param>
internal sealed record RouteDescription(string Id, string Group, string Summary)
{
    public QueryField[] Query { get; init; } = [];

    public HeaderField[] Headers { get; init; } = [];

    /// <summary>Name of the schema of the body; null when there is none.</summary>
    public string? Body { get; init; }

    public bool BodyOptional { get; init; }

    public Answer[] Answers { get; init; } = [];
}

/// <param name="Type"><c>string</c> or <c>integer</c>.</param>
internal sealed record QueryField(string Name, string Type, string Text, bool Required = false);

internal sealed record HeaderField(string Name, string Text);

/// <param name="Schema">Name of the schema of the answer; null when it has no body.</param>
internal sealed record Answer(int Status, string? Schema, string Text, string ContentType = "application/json");

/// <summary>Parameters that several routes share.</summary>
internal static class SharedFields
{
    public static readonly QueryField Namespace = new("namespace", "string", "Only this namespace.");
    public static readonly QueryField Tier = new("tier", "string", "Only this tier: short, mid or long.");
    public static readonly QueryField MinPriority = new("min_priority", "integer", "Only memories of at least this priority.");
    public static readonly QueryField Since = new("since", "string", "Created at or after; RFC 3339.");
    public static readonly QueryField Until = new("until", "string", "Created at or before; RFC 3339.");
    public static readonly QueryField Tags = new("tags", "string", "One exact tag.");
    public static readonly QueryField AgentId = new("agent_id", "string", "Only memories of this author.");
    public static readonly QueryField AsAgent = new("as_agent", "string", "The caller's place in the namespace tree; without it everything shows.");
    public static readonly QueryField ListLimit = new("limit", "integer", "Rows; 20 unless told, at most 200.");
    public static readonly QueryField DryRun = new("dry_run", "string", "true: count, and change nothing.");
    public static readonly QueryField Offset = new("offset", "integer", "Rows to pass over. Prefer cursor.");
    public static readonly QueryField Cursor = new("cursor", "string", "next_cursor of the page before.");

    public static readonly HeaderField Agent = new("X-Agent-Id", "Who calls; the body's agent_id wins.");
    public static readonly HeaderField IdempotencyKey = new("Idempotency-Key", "Makes a retry answer as the first request did; 1 to 255 bytes.");
    public static readonly HeaderField IfMatch = new("If-Match", "The entity tag that the caller saw; 412 when the memory has changed since.");

    public static readonly HeaderField Quorum = new("X-Quorum", "How many nodes must hold the write: 1, majority, all or a number; as configured unless told.");
    public static readonly HeaderField Token = new("X-Memory-Token", "As an answer gave it: act on nothing older; 503 not_yet when this node does not catch up in time.");

    public static readonly Answer BadRequest = new(400, "Error", "A rule is broken, or the request cannot be read.");
    public static readonly Answer Unauthorized = new(401, "Error", "The node has a key and the request has not.");
    public static readonly Answer Pending = new(202, "Pending", "It waits for approval.");
    public static readonly Answer Forbidden = new(403, "Error", "The caller may not.");
    public static readonly Answer NotFound = new(404, "Error", "No such memory.");
    public static readonly Answer Conflict = new(409, "Error", "The title is taken in that namespace.");
    public static readonly Answer PreconditionFailed = new(412, "Error", "The memory has changed since.");
    public static readonly Answer TooLarge = new(413, "Error", "The body exceeds 2 MiB.");
    public static readonly Answer MediaType = new(415, "Error", "The body is not declared as JSON.");
    public static readonly Answer WrongShape = new(422, "Error", "Well-formed JSON of the wrong shape, or an idempotency key used for another body.");
    public static readonly Answer Unavailable = new(503, "Unavailable", "Not now; see Retry-After. On a node among others the outcome tells what became of a write.");
}
