using OrleansMemory.Core.Replication;

namespace OrleansMemory.Grains;

/// <summary>Between what engines know and what grain calls carry.</summary>
internal static class Messages
{
    /// <summary>A call may still read its message after it was given up, so the bytes are its own.</summary>
    public static LinkMessage Of(PooledBytes bytes)
    {
        using (bytes)
        {
            return new(bytes.Memory.ToArray());
        }
    }

    public static EpochMessage Of(NamespaceEpoch epoch) => new(epoch.Number, epoch.Stamp.Log.Node, epoch.Stamp.Log.Incarnation, epoch.IsComplete);

    public static NamespaceEpoch Epoch(string @namespace, EpochMessage epoch) =>
        new(@namespace, new(epoch.Clock, new(epoch.Node, epoch.Incarnation)), epoch.IsComplete);
}
