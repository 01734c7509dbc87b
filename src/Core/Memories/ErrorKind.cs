namespace OrleansMemory.Core.Memories;

/// <summary>
/// Every way in which a request can fail: its machine code, HTTP status and process exit code.
/// This table is the only place that maps one to the other; HTTP, MCP and the command line read it.
/// </summary>
public sealed record ErrorKind(string Code, int HttpStatus, int ExitCode = 1)
{
    public static readonly ErrorKind MalformedRequest = new("malformed_request", 400);
    public static readonly ErrorKind MissingField = new("missing_field", 422);
    public static readonly ErrorKind WrongType = new("wrong_type", 422);
    public static readonly ErrorKind UnsupportedMediaType = new("unsupported_media_type", 415);
    public static readonly ErrorKind BodyTooLarge = new("body_too_large", 413);
    public static readonly ErrorKind BatchTooLarge = new("batch_too_large", 400);
    public static readonly ErrorKind InvalidQuery = new("invalid_query", 400);
    public static readonly ErrorKind QueryEmpty = new("query_empty", 400);
    public static readonly ErrorKind InvalidCursor = new("invalid_cursor", 400);
    public static readonly ErrorKind InvalidLimit = new("invalid_limit", 400);
    public static readonly ErrorKind FilterMissing = new("filter_missing", 400);

    public static readonly ErrorKind TitleEmpty = new("title_empty", 400);
    public static readonly ErrorKind TitleTooLong = new("title_too_long", 400);
    public static readonly ErrorKind TitleInvalid = new("title_invalid", 400);
    public static readonly ErrorKind ContentEmpty = new("content_empty", 400);
    public static readonly ErrorKind ContentTooLarge = new("content_too_large", 400);
    public static readonly ErrorKind ContentInvalid = new("content_invalid", 400);
    public static readonly ErrorKind NamespaceEmpty = new("namespace_empty", 400);
    public static readonly ErrorKind NamespaceTooLong = new("namespace_too_long", 400);
    public static readonly ErrorKind NamespaceInvalid = new("namespace_invalid", 400);
    public static readonly ErrorKind NamespaceTooDeep = new("namespace_too_deep", 400);
    public static readonly ErrorKind InvalidSource = new("invalid_source", 400);
    public static readonly ErrorKind TooManyTags = new("too_many_tags", 400);
    public static readonly ErrorKind InvalidTag = new("invalid_tag", 400);
    public static readonly ErrorKind InvalidTier = new("invalid_tier", 400);
    public static readonly ErrorKind InvalidPriority = new("invalid_priority", 400);
    public static readonly ErrorKind InvalidConfidence = new("invalid_confidence", 400);
    public static readonly ErrorKind InvalidTimestamp = new("invalid_timestamp", 400);
    public static readonly ErrorKind ExpiryInPast = new("expiry_in_past", 400);
    public static readonly ErrorKind InvalidTtl = new("invalid_ttl", 400);
    public static readonly ErrorKind MetadataNotObject = new("metadata_not_object", 400);
    public static readonly ErrorKind MetadataTooLarge = new("metadata_too_large", 400);
    public static readonly ErrorKind MetadataTooDeep = new("metadata_too_deep", 400);
    public static readonly ErrorKind InvalidId = new("invalid_id", 400);
    public static readonly ErrorKind AmbiguousId = new("ambiguous_id", 400);
    public static readonly ErrorKind InvalidAgentId = new("invalid_agent_id", 400);
    public static readonly ErrorKind InvalidAgentType = new("invalid_agent_type", 400);
    public static readonly ErrorKind InvalidScope = new("invalid_scope", 400);
    public static readonly ErrorKind InvalidRelation = new("invalid_relation", 400);
    public static readonly ErrorKind SelfLink = new("self_link", 400);
    public static readonly ErrorKind InvalidAccessCount = new("invalid_access_count", 400);
    public static readonly ErrorKind InvalidIdempotencyKey = new("invalid_idempotency_key", 400);
    public static readonly ErrorKind InvalidQuorum = new("invalid_quorum", 400);
    public static readonly ErrorKind InvalidToken = new("invalid_token", 400);
    public static readonly ErrorKind IdempotencyMismatch = new("idempotency_mismatch", 422);

    public static readonly ErrorKind InvalidSubscription = new("invalid_subscription", 400);
    public static readonly ErrorKind InvalidConsolidation = new("invalid_consolidation", 400);
    public static readonly ErrorKind InvalidCuration = new("invalid_curation", 400);
    public static readonly ErrorKind InvalidPermission = new("invalid_permission", 400);
    public static readonly ErrorKind InvalidGovernance = new("invalid_governance", 400);

    /// <summary>No failure: the change waits for approval.</summary>
    public static readonly ErrorKind ApprovalPending = new("approval_pending", 202, 0);

    public static readonly ErrorKind Unauthorized = new("unauthorized", 401);
    public static readonly ErrorKind Forbidden = new("forbidden", 403);
    public static readonly ErrorKind GovernanceDenied = new("governance_denied", 403);
    public static readonly ErrorKind ReservedNamespace = new("reserved_namespace", 403);
    public static readonly ErrorKind NotFound = new("not_found", 404);
    public static readonly ErrorKind AlreadyExists = new("already_exists", 409);
    public static readonly ErrorKind TitleTaken = new("title_taken", 409);
    public static readonly ErrorKind MembersConfigured = new("members_configured", 409);
    public static readonly ErrorKind AlreadyRunning = new("already_running", 409);
    public static readonly ErrorKind PreconditionFailed = new("precondition_failed", 412);

    /// <summary>What was asked for needs a model, and none is configured.</summary>
    public static readonly ErrorKind ModelMissing = new("model_missing", 501);

    /// <summary>The model did not answer, or not what it was asked for.</summary>
    public static readonly ErrorKind ModelFailed = new("model_failed", 503);

    public static readonly ErrorKind Overloaded = new("overloaded", 503);
    public static readonly ErrorKind Unreachable = new("unreachable", 503);
    public static readonly ErrorKind QuorumNotMet = new("quorum_not_met", 503);
    public static readonly ErrorKind NotYet = new("not_yet", 503);
    public static readonly ErrorKind Draining = new("draining", 503);
    public static readonly ErrorKind StoreFailed = new("store_failed", 503);
    public static readonly ErrorKind StoreFull = new("store_full", 503);
    public static readonly ErrorKind StoreInUse = new("store_in_use", 503);
    public static readonly ErrorKind StoreNotOurs = new("store_not_ours", 500);
    public static readonly ErrorKind StoreTooNew = new("store_too_new", 500);
    public static readonly ErrorKind BackupBroken = new("backup_broken", 500);
    public static readonly ErrorKind Internal = new("internal", 500);

    public override string ToString() => Code;
}

/// <summary>A request that cannot be served, for a reason the caller can act on.</summary>
public class MemoryException(ErrorKind kind, string message, Exception? inner = null) : Exception(message, inner)
{
    public ErrorKind Kind { get; } = kind;
}
