using OrleansMemory.Core.Memories;

namespace OrleansMemory.Core.Governance;

/// <summary>How far from its own namespace a memory is seen. Ordered from narrow to wide.</summary>
public enum MemoryScope
{
    /// <summary>Its own namespace exactly; what a memory without a scope has.</summary>
    Private = 0,

    /// <summary>The subtree of the caller's parent.</summary>
    Team = 1,

    /// <summary>The subtree of the caller's grandparent.</summary>
    Unit = 2,

    /// <summary>The subtree of the caller's great-grandparent.</summary>
    Org = 3,

    /// <summary>Everyone.</summary>
    Collective = 4,
}

/// <summary>
/// The one visibility predicate: which memories a caller sees. One with a credential of its own sees what it wrote, and of others what their scopes
/// show at its place in the namespace tree. Without one a caller may say a place, and sees private memories of exactly that namespace; saying none
/// it sees everything. A level that a place does not have shows nothing of that scope.
/// </summary>
public sealed class Visibility
{
    private readonly string? _place;
    private readonly string?[] _roots = new string?[3];
    private readonly bool _isOfCredential;

    /// <summary>Shows no more than this either.</summary>
    private readonly Visibility? _within;

    private Visibility(string? place, string? author, bool isOfCredential, Visibility? within)
    {
        _place = place;
        _isOfCredential = isOfCredential;
        _within = within;
        Author = author;
        for (var level = 0; level < _roots.Length && place is not null; level++)
        {
            var separator = place.LastIndexOf('/');
            place = separator < 0 ? null : place[..separator];
            _roots[level] = place;
        }
    }

    /// <summary>No caller named: everything is seen.</summary>
    public static Visibility Everything { get; } = new(place: null, author: null, isOfCredential: false, within: null);

    /// <summary>Whose own memories are seen whatever their scope; null: nobody's.</summary>
    public string? Author { get; }

    /// <param name="principal">Null: a caller without a credential of its own.</param>
    /// <param name="asAgent">A place that narrows what is seen; null: none.</param>
    public static Visibility Of(Principal? principal, string? asAgent = null)
    {
        var place = asAgent is null ? Everything : new(asAgent, author: null, isOfCredential: false, within: null);
        return principal is null or { SeesEverything: true } ? place
            : new(principal.Place, principal.AgentId, isOfCredential: true, asAgent is null ? null : place);
    }

    public bool IsEverything => _place is null && !_isOfCredential;

    /// <summary>The scope that a stored text names. Any text but the five counts as private.</summary>
    public static MemoryScope ScopeOf(string? text) => text switch
    {
        "team" => MemoryScope.Team,
        "unit" => MemoryScope.Unit,
        "org" => MemoryScope.Org,
        "collective" => MemoryScope.Collective,
        _ => MemoryScope.Private,
    };

    public bool Shows(Memory memory) =>
        IsEverything || Shows(memory.Namespace, ScopeOf(memory.Metadata.Text("scope")), Author is not null && memory.Metadata.Text("agent_id") == Author);

    /// <param name="isOwn">The <see cref="Author"/> wrote it.</param>
    public bool Shows(string @namespace, MemoryScope scope, bool isOwn) =>
        IsEverything || ((isOwn || scope switch
        {
            MemoryScope.Private => !_isOfCredential && @namespace == _place,
            MemoryScope.Collective => true,
            _ => IsWithin(@namespace, _roots[(int)scope - 1]),
        }) && (_within is null || _within.Shows(@namespace, scope, isOwn: false)));

    /// <summary>Bit n is set when a memory of scope n in the namespace is seen.</summary>
    public int ScopesShown(string @namespace, bool isOwn)
    {
        var bits = 0;
        for (var scope = MemoryScope.Private; scope <= MemoryScope.Collective; scope++)
        {
            bits |= Shows(@namespace, scope, isOwn) ? 1 << (int)scope : 0;
        }

        return bits;
    }

    private static bool IsWithin(string @namespace, string? root) =>
        root is not null && @namespace.StartsWith(root, StringComparison.Ordinal) && (@namespace.Length == root.Length || @namespace[root.Length] == '/');
}
