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
/// The one visibility predicate: which memories a caller sees from its place in the namespace tree. A level that the caller's
/// place does not have shows nothing of that scope.
/// </summary>
public sealed class Visibility
{
    private readonly string? _place;
    private readonly string?[] _roots = new string?[3];

    private Visibility(string? place)
    {
        _place = place;
        for (var level = 0; level < _roots.Length && place is not null; level++)
        {
            var separator = place.LastIndexOf('/');
            place = separator < 0 ? null : place[..separator];
            _roots[level] = place;
        }
    }

    /// <summary>No caller named: everything is seen.</summary>
    public static Visibility Everything { get; } = new(place: null);

    /// <param name="asAgent">The caller's place; null sees everything.</param>
    public static Visibility Of(string? asAgent) => asAgent is null ? Everything : new(asAgent);

    public bool IsEverything => _place is null;

    /// <summary>The scope that a stored text names. Any text but the five counts as private.</summary>
    public static MemoryScope ScopeOf(string? text) => text switch
    {
        "team" => MemoryScope.Team,
        "unit" => MemoryScope.Unit,
        "org" => MemoryScope.Org,
        "collective" => MemoryScope.Collective,
        _ => MemoryScope.Private,
    };

    public bool Shows(string @namespace, MemoryScope scope) => _place is null || scope switch
    {
        MemoryScope.Private => @namespace == _place,
        MemoryScope.Collective => true,
        _ => IsWithin(@namespace, _roots[(int)scope - 1]),
    };

    /// <summary>Bit n is set when a memory of scope n in the namespace is seen.</summary>
    public int ScopesShown(string @namespace)
    {
        var bits = 0;
        for (var scope = MemoryScope.Private; scope <= MemoryScope.Collective; scope++)
        {
            bits |= Shows(@namespace, scope) ? 1 << (int)scope : 0;
        }

        return bits;
    }

    private static bool IsWithin(string @namespace, string? root) =>
        root is not null && @namespace.StartsWith(root, StringComparison.Ordinal) && (@namespace.Length == root.Length || @namespace[root.Length] == '/');
}
