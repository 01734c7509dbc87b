using OrleansMemory.Core.Backfills;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Models;
using OrleansMemory.Core.Recall;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Core;

/// <summary>What an operator can set about a node's engines.</summary>
public sealed record NodeSettings
{
    public Lifetimes Lifetimes { get; init; } = new();

    public ScoringWeights Scoring { get; init; } = new();

    /// <summary>Expired memories are archived; else they are deleted for good.</summary>
    public bool ArchiveOnGc { get; init; } = true;

    /// <summary>How many nodes must hold a write; the number of peers is that of the links.</summary>
    public ReplicaSetSettings ReplicaSet { get; init; } = ReplicaSetSettings.Single;

    /// <summary>How long touches of recalled memories gather before they are written together.</summary>
    public TimeSpan TouchInterval { get; init; } = TimeSpan.FromSeconds(1);

    public BackfillSettings Backfills { get; init; } = new();

    public NodeModels Models { get; init; } = NodeModels.None;
}
