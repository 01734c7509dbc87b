using OrleansMemory.Core;

namespace OrleansMemory.Simulation.Cluster;

/// <summary>What all nodes of a run are configured with.</summary>
public sealed record ClusterSettings(int Nodes, NodeSettings Node, TimeSpan SweepInterval);
