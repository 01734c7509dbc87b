using OrleansMemory.Gate.Campaigns;
using OrleansMemory.Gate.Evidence;

namespace OrleansMemory.Gate.Phases;

/// <summary>What a phase works with.</summary>
/// <param name="Say">Progress, a line each.</param>
internal sealed record PhaseContext(CampaignScope Scope, Programs Programs, EvidenceFolder Evidence, string Scratch, Action<string> Say);

/// <summary>The programs under test.</summary>
/// <param name="Silo">Null where it is not built.</param>
/// <param name="Faulty">A build of the first with faults that can be switched on; null where it was not made.</param>
public sealed record Programs(string Om, string? Silo, string? Faulty);
