using System.Collections.Frozen;

namespace OrleansMemory.Core.Memories;

/// <summary>The closed sets of the domain; validation, schemas and help text read them from here.</summary>
public static class ClosedSets
{
    public static readonly FrozenSet<string> Sources =
        FrozenSet.Create(
            StringComparer.Ordinal, "user", "claude", "hook", "api", "cli", "import", "consolidation", "system", "chaos", "auto-consolidate", "mine-claude", "mine-chatgpt", "mine-slack");

    public static readonly FrozenSet<string> Relations =
        FrozenSet.Create(StringComparer.Ordinal, "related_to", "supersedes", "contradicts", "derived_from");

    public static readonly FrozenSet<string> Scopes =
        FrozenSet.Create(StringComparer.Ordinal, "private", "team", "unit", "org", "collective");

    public static readonly FrozenSet<string> AgentTypes =
        FrozenSet.Create(StringComparer.Ordinal, "ai:claude-opus-4.6", "ai:claude-opus-4.7", "ai:codex-5.4", "ai:grok-4.2", "human", "system");

    public const string DefaultRelation = "related_to";
    public const string DefaultNamespace = "global";
}
