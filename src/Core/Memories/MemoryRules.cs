using System.Buffers;
using System.Text;

namespace OrleansMemory.Core.Memories;

/// <summary>
/// The validation rules, one method for each field. A method returns the value in the form that is stored (trimmed where the
/// rule says so) or throws the one error of the rule it breaks.
/// </summary>
public static class MemoryRules
{
    private static readonly SearchValues<char> AgentIdCharacters =
        SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-:@./");

    private static readonly SearchValues<char> AgentNameCharacters =
        SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.");

    /// <summary>The first failing rule wins: title, content, namespace, source, tags, priority, confidence, expires_at, ttl_secs, metadata.</summary>
    public static MemoryDraft Check(MemoryDraft draft, Timestamp now)
    {
        var title = Title(draft.Title);
        var content = Content(draft.Content);
        var @namespace = Namespace(draft.Namespace);
        var source = Source(draft.Source);
        var tags = Tags(draft.Tags);
        Priority(draft.Priority);
        Confidence(draft.Confidence);
        if (draft.ExpiresAt is { } expiresAt && Instant("expires_at", expiresAt) <= now)
        {
            throw new MemoryException(ErrorKind.ExpiryInPast, "expires_at is in the past");
        }

        Ttl(draft.TtlSeconds);
        var metadata = draft.Metadata;
        if (draft.AgentId is { } agentId)
        {
            metadata = metadata.With("agent_id", AgentId(agentId));
        }

        if (draft.Scope is { } scope)
        {
            metadata = metadata.With("scope", scope);
        }

        MetadataObject(metadata);
        return draft with { Title = title, Content = content, Namespace = @namespace, Source = source, Tags = tags, Metadata = metadata };
    }

    public static MemoryPatch Check(MemoryPatch patch)
    {
        var title = patch.Title is null ? null : Title(patch.Title);
        var content = patch.Content is null ? null : Content(patch.Content);
        var @namespace = patch.Namespace is null ? null : Namespace(patch.Namespace);
        var tags = patch.Tags is null ? null : Tags(patch.Tags);
        if (patch.Priority is { } priority)
        {
            Priority(priority);
        }

        if (patch.Confidence is { } confidence)
        {
            Confidence(confidence);
        }

        var clear = patch.ClearExpiry || patch.ExpiresAt is "" or "null";
        if (!clear && patch.ExpiresAt is { } expiresAt)
        {
            Instant("expires_at", expiresAt);
        }

        if (patch.Metadata is { } metadata)
        {
            MetadataObject(metadata);
        }

        return patch with { Title = title, Content = content, Namespace = @namespace, Tags = tags, ClearExpiry = clear, ExpiresAt = clear ? null : patch.ExpiresAt };
    }

    /// <summary>A complete memory from outside; an expiry in the past is allowed.</summary>
    public static Memory Check(Memory memory)
    {
        var id = Id(memory.Id);
        var title = Title(memory.Title);
        var content = Content(memory.Content);
        var @namespace = Namespace(memory.Namespace);
        var source = Source(memory.Source);
        var tags = Tags(memory.Tags);
        Priority(memory.Priority);
        Confidence(memory.Confidence);
        if (memory.AccessCount is < 0 or > MemoryLimits.MaxAccessCount)
        {
            throw new MemoryException(ErrorKind.InvalidAccessCount, $"access_count must be between 0 and {MemoryLimits.MaxAccessCount}");
        }

        MetadataObject(memory.Metadata);
        return memory with { Id = id, Title = title, Content = content, Namespace = @namespace, Source = source, Tags = tags };
    }

    /// <summary>Trimmed; 1 to 512 characters; no control character but LF and TAB.</summary>
    public static string Title(string title)
    {
        var trimmed = title.Trim();
        if (trimmed.Length == 0)
        {
            throw new MemoryException(ErrorKind.TitleEmpty, "title cannot be empty");
        }

        if (trimmed.Length > MemoryLimits.TitleCharacters && Scalars(trimmed) > MemoryLimits.TitleCharacters)
        {
            throw new MemoryException(ErrorKind.TitleTooLong, $"title exceeds max length of {MemoryLimits.TitleCharacters} characters");
        }

        return HasControls(trimmed, allowLayout: true)
            ? throw new MemoryException(ErrorKind.TitleInvalid, "title contains invalid characters")
            : trimmed;
    }

    /// <summary>Not blank; at most 65,536 bytes; no control character but LF and TAB. Stored as given.</summary>
    public static string Content(string content)
    {
        if (string.IsNullOrWhiteSpace(content))
        {
            throw new MemoryException(ErrorKind.ContentEmpty, "content cannot be empty");
        }

        if (content.Length > MemoryLimits.ContentBytes || (content.Length > MemoryLimits.ContentBytes / 3 && Encoding.UTF8.GetByteCount(content) > MemoryLimits.ContentBytes))
        {
            throw new MemoryException(ErrorKind.ContentTooLarge, $"content exceeds max size of {MemoryLimits.ContentBytes} bytes");
        }

        return HasControls(content, allowLayout: true)
            ? throw new MemoryException(ErrorKind.ContentInvalid, "content contains invalid characters")
            : content;
    }

    /// <summary>Flat or '/'-separated, at most 512 characters and 8 levels; no space, backslash, control character, empty, '.' or '..' level.</summary>
    public static string Namespace(string @namespace)
    {
        var trimmed = @namespace.Trim();
        if (trimmed.Length == 0)
        {
            throw new MemoryException(ErrorKind.NamespaceEmpty, "namespace cannot be empty");
        }

        if (trimmed.Length > MemoryLimits.NamespaceCharacters && Scalars(trimmed) > MemoryLimits.NamespaceCharacters)
        {
            throw new MemoryException(ErrorKind.NamespaceTooLong, $"namespace exceeds max length of {MemoryLimits.NamespaceCharacters} characters");
        }

        if (trimmed.AsSpan().ContainsAny(' ', '\\') || HasControls(trimmed, allowLayout: false))
        {
            throw new MemoryException(ErrorKind.NamespaceInvalid, "namespace cannot contain spaces, backslashes or control characters");
        }

        if (trimmed[0] == '/')
        {
            throw new MemoryException(ErrorKind.NamespaceInvalid, "namespace cannot start with '/'");
        }

        if (trimmed[^1] == '/')
        {
            throw new MemoryException(ErrorKind.NamespaceInvalid, "namespace cannot end with '/'");
        }

        var depth = 0;
        foreach (var range in trimmed.AsSpan().Split('/'))
        {
            depth++;
            if (trimmed.AsSpan()[range] is "" or "." or "..")
            {
                throw new MemoryException(ErrorKind.NamespaceInvalid, "namespace segments cannot be empty, '.' or '..'");
            }
        }

        return depth > MemoryLimits.NamespaceDepth
            ? throw new MemoryException(ErrorKind.NamespaceTooDeep, $"namespace depth exceeds {MemoryLimits.NamespaceDepth}")
            : trimmed;
    }

    public static string Source(string source) => ClosedSets.Sources.TryGetValue(source, out var known)
        ? known
        : throw new MemoryException(ErrorKind.InvalidSource, $"invalid source: {Shown(source)} (use {Listed(ClosedSets.Sources)})");

    /// <summary>At most 50, each 1 to 128 bytes without control characters; trimmed, the first of equal ones kept.</summary>
    public static IReadOnlyList<string> Tags(IReadOnlyList<string> tags)
    {
        if (tags.Count == 0)
        {
            return tags;
        }

        if (tags.Count > MemoryLimits.Tags)
        {
            throw new MemoryException(ErrorKind.TooManyTags, $"too many tags: at most {MemoryLimits.Tags}");
        }

        var clean = new List<string>(tags.Count);
        foreach (var tag in tags)
        {
            var trimmed = tag?.Trim() ?? "";
            if (trimmed.Length == 0)
            {
                throw new MemoryException(ErrorKind.InvalidTag, "tags cannot contain empty strings");
            }

            if (Encoding.UTF8.GetByteCount(trimmed) > MemoryLimits.TagBytes)
            {
                throw new MemoryException(ErrorKind.InvalidTag, $"a tag exceeds max length of {MemoryLimits.TagBytes} bytes");
            }

            if (HasControls(trimmed, allowLayout: false))
            {
                throw new MemoryException(ErrorKind.InvalidTag, "tags contain invalid characters");
            }

            if (!clean.Contains(trimmed))
            {
                clean.Add(trimmed);
            }
        }

        return clean;
    }

    public static int Priority(int priority) => priority is < MemoryLimits.MinPriority or > MemoryLimits.MaxPriority
        ? throw new MemoryException(ErrorKind.InvalidPriority, $"priority must be between {MemoryLimits.MinPriority} and {MemoryLimits.MaxPriority}")
        : priority;

    public static double Confidence(double confidence) => confidence is >= 0.0 and <= 1.0
        ? confidence
        : throw new MemoryException(ErrorKind.InvalidConfidence, "confidence must be between 0.0 and 1.0");

    public static Timestamp Instant(string field, string text) => Timestamp.TryParse(text, out var instant)
        ? instant
        : throw new MemoryException(ErrorKind.InvalidTimestamp, $"{field} is not valid RFC3339: {Shown(text)}");

    public static void Ttl(long? seconds)
    {
        if (seconds is <= 0)
        {
            throw new MemoryException(ErrorKind.InvalidTtl, "ttl_secs must be positive");
        }

        if (seconds is > MemoryLimits.MaxTtlSeconds)
        {
            throw new MemoryException(ErrorKind.InvalidTtl, $"ttl_secs exceeds maximum of {MemoryLimits.MaxTtlSeconds}");
        }
    }

    public static string Id(string id)
    {
        if (string.IsNullOrWhiteSpace(id))
        {
            throw new MemoryException(ErrorKind.InvalidId, "id cannot be empty");
        }

        if (Encoding.UTF8.GetByteCount(id) > MemoryLimits.IdBytes)
        {
            throw new MemoryException(ErrorKind.InvalidId, $"id exceeds max length of {MemoryLimits.IdBytes} bytes");
        }

        return HasControls(id, allowLayout: false)
            ? throw new MemoryException(ErrorKind.InvalidId, "id contains invalid characters")
            : id;
    }

    public static string AgentId(string agentId, string prefix = "agent_id")
    {
        if (agentId.Length is 0 or > MemoryLimits.AgentIdBytes)
        {
            throw new MemoryException(ErrorKind.InvalidAgentId, $"{prefix} must have 1 to {MemoryLimits.AgentIdBytes} characters");
        }

        return agentId.AsSpan().ContainsAnyExcept(AgentIdCharacters)
            ? throw new MemoryException(ErrorKind.InvalidAgentId, $"{prefix} may contain only letters, digits and _ - : @ . /")
            : agentId;
    }

    /// <summary>One of <see cref="ClosedSets.AgentTypes"/>, or <c>ai:</c> and a name of letters, digits and _ - .</summary>
    public static string AgentType(string agentType) =>
        ClosedSets.AgentTypes.TryGetValue(agentType, out var known) ? known
        : agentType.Length is > 3 and <= MemoryLimits.AgentTypeBytes && agentType.StartsWith("ai:", StringComparison.Ordinal) && !agentType.AsSpan(3).ContainsAnyExcept(AgentNameCharacters) ? agentType
        : throw new MemoryException(ErrorKind.InvalidAgentType, $"invalid agent_type: {Shown(agentType)} (use {Listed(ClosedSets.AgentTypes)}, or ai: and a name of letters, digits and _ - .)");

    public static string Scope(string scope) => ClosedSets.Scopes.TryGetValue(scope, out var known)
        ? known
        : throw new MemoryException(ErrorKind.InvalidScope, $"invalid scope: {Shown(scope)} (use {Listed(ClosedSets.Scopes)})");

    public static string Relation(string relation) => ClosedSets.Relations.TryGetValue(relation, out var known)
        ? known
        : throw new MemoryException(ErrorKind.InvalidRelation, $"invalid relation: {Shown(relation)} (use {Listed(ClosedSets.Relations)})");

    public static string IdempotencyKey(string key) =>
        key.Length == 0 || Encoding.UTF8.GetByteCount(key) > MemoryLimits.IdempotencyKeyBytes || HasControls(key, allowLayout: false)
            ? throw new MemoryException(ErrorKind.InvalidIdempotencyKey, $"Idempotency-Key must have 1 to {MemoryLimits.IdempotencyKeyBytes} bytes and no control characters")
            : key;

    private static void MetadataObject(Metadata metadata)
    {
        if (metadata.Json.Length > MemoryLimits.MetadataBytes / 3 && Encoding.UTF8.GetByteCount(metadata.Json) > MemoryLimits.MetadataBytes)
        {
            throw new MemoryException(ErrorKind.MetadataTooLarge, $"metadata exceeds max size of {MemoryLimits.MetadataBytes} bytes");
        }

        if (metadata.Text("scope") is { } scope)
        {
            Scope(scope);
        }

        if (metadata.Text("agent_id") is { } agentId)
        {
            AgentId(agentId, "metadata.agent_id");
        }
    }

    private static int Scalars(string text)
    {
        var count = 0;
        foreach (var _ in text.EnumerateRunes())
        {
            count++;
        }

        return count;
    }

    private static bool HasControls(string text, bool allowLayout)
    {
        foreach (var character in text)
        {
            if (char.IsControl(character) && !(allowLayout && character is '\n' or '\t'))
            {
                return true;
            }
        }

        return false;
    }

    private static string Shown(string text) => text.Length <= 64 ? text : string.Concat(text.AsSpan(0, 64), "...");

    private static string Listed(IEnumerable<string> names) => string.Join(", ", names.Order(StringComparer.Ordinal));
}
