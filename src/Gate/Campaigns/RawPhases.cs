using System.Text.Json;
using System.Text.Json.Nodes;

namespace OrleansMemory.Gate.Campaigns;

/// <summary>How a phase ended.</summary>
public static class PhaseEnds
{
    public const string Completed = "completed";
    public const string TimedOut = "timed_out";
    public const string Failed = "failed";
    public const string Interrupted = "interrupted";
}

/// <summary>What a phase left behind, before anything is made of it: <c>raw/phaseN.json</c>. Its ledger is beside it.</summary>
/// <param name="End">One of <see cref="PhaseEnds"/>.</param>
/// <param name="Error">Why it ended otherwise than completed.</param>
public sealed record RawPhase(int Phase, DateTimeOffset StartedAt, DateTimeOffset EndedAt, string End, string? Error, JsonNode? Observed);

/// <summary>What phase 1 saw of one node.</summary>
/// <param name="Errors">Steps that failed, each with the reason.</param>
/// <param name="Source">Hashes of the node's memories by id, at the instant of its backup.</param>
/// <param name="Restored">The same of what was restored from it.</param>
public sealed record RawNode(
    string Name,
    string? Version,
    JsonElement? Stats,
    int? RecallCount,
    int? SnapshotCount,
    int? ManifestCount,
    JsonElement? Curator,
    int? McpStdioTools,
    int? McpHttpTools,
    IReadOnlyDictionary<string, string>? Source,
    IReadOnlyDictionary<string, string>? Restored,
    IReadOnlyList<string> Errors);

/// <param name="Links">Links that were acknowledged.</param>
/// <param name="LinksMissing">Each with the node that lacks it.</param>
/// <param name="OneDown">Status of the write while one peer was down; null: it was not tried.</param>
/// <param name="Rejoined">The digest of each node after all were back.</param>
/// <param name="Crashes">Ends of nodes that were not asked for, or not clean, a text each.</param>
public sealed record RawAgents(
    int Links,
    IReadOnlyList<string> LinksMissing,
    int? OneDown,
    int? BothDown,
    string? BothDownCode,
    IReadOnlyDictionary<string, string> Rejoined,
    IReadOnlyList<string> Crashes);

/// <param name="Forward">The report of the tool, as it printed it.</param>
/// <param name="Source">A hash over all fields of each memory, link and archived row, by what identifies it.</param>
public sealed record RawMigration(
    JsonElement Forward,
    JsonElement Again,
    JsonElement Back,
    IReadOnlyDictionary<string, string> Source,
    IReadOnlyDictionary<string, string> There,
    IReadOnlyDictionary<string, string> Returned);

/// <param name="Crashes">For each fault class that began, ends of nodes that were not asked for, or not clean, a text each.</param>
/// <param name="Errors">For each fault class that the harness could not run to its end, the reason.</param>
public sealed record RawChaos(IReadOnlyDictionary<string, IReadOnlyList<string>> Crashes, IReadOnlyDictionary<string, string> Errors);
