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
/// show at its place in the namespace tree, or what was granted to it. Without one a caller may say a place, and sees private memories of exactly that namespace; saying none
/// it sees everything. A level that a place does not have shows nothing of that scope.
/// </summary>
public sealed class Visibility
{
    /// <summary>Of the scopes that a subtree of the namespaces sees, the narrowest first.</summary>
    private static readonly string[] ScopeNames = ["team", "unit", "org"];

    private readonly string? _place;
    private readonly string?[] _roots = new string?[3];
    private readonly bool _isOfCredential;
    private readonly IReadOnlySet<string>? _granted;

    /// <summary>Shows no more than this either.</summary>
    private readonly Visibility? _within;

    private Visibility(string? place, string? author, bool isOfCredential, Visibility? within, IReadOnlySet<string>? granted = null)
    {
        _granted = granted;
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
            : new(principal.Place, principal.AgentId, isOfCredential: true, asAgent is null ? null : place, principal.Granted);
    }

    public bool IsEverything => _place is null && !_isOfCredential;

    /// <summary>
    /// The predicate as parts of which one must hold, for a store that asks them of its rows; null: there are other parts. A row's author is its
    /// <c>metadata.agent_id</c>, its scope <c>metadata.scope</c>.
    /// </summary>
    public VisibleRows? Rows => !_isOfCredential || _within is not null ? null : Own;

    /// <summary>The predicate as conditions that must all hold, for a store that asks them of its rows; none: everything is seen.</summary>
    public IReadOnlyList<VisibleRows> Conditions => IsEverything ? [] : _within is null ? [Own] : [Own, .. _within.Conditions];

    private VisibleRows Own => new(
        Author,
        Granted,
        [.. _roots.Select(static (root, level) => ((string Scope, string? Root))(ScopeNames[level], root)).Where(static each => each.Root is not null).Select(static each => (each.Scope, each.Root!))],
        _isOfCredential ? null : _place);

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
        IsEverything || Shows(memory.Namespace, ScopeOf(memory.Metadata.Text("scope")), IsOwn(memory));

    /// <summary>Ids of memories that others have granted to the caller, seen as its own are; empty: none.</summary>
    internal IReadOnlySet<string> Granted => _granted ?? System.Collections.Frozen.FrozenSet<string>.Empty;

    private bool IsOwn(Memory memory) => (Author is not null && memory.Metadata.Text("agent_id") == Author) || _granted?.Contains(memory.Id) is true;

    /// <param name="isOwn">The <see cref="Author"/> wrote it, or it was granted.</param>
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

/// <summary>What is seen of a store's rows, beside everything of the scope collective.</summary>
/// <param name="Author">Everything of this author; null: of none.</param>
/// <param name="Granted">These ids.</param>
/// <param name="Subtrees">What has the scope and stands in the namespace or below it.</param>
/// <param name="Place">What has no scope beyond its namespace, and stands in exactly this one; null: none of it.</param>
public sealed record VisibleRows(string? Author, IReadOnlySet<string> Granted, IReadOnlyList<(string Scope, string Root)> Subtrees, string? Place = null);
