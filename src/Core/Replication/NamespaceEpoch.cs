namespace OrleansMemory.Core.Replication;

/// <summary>
/// One activation of a namespace among all that ever were: the later one fences the earlier. Its stamp is drawn above every stamp
/// that its node has seen, so the order of epochs is the order of stamps.
/// </summary>
/// <param name="IsComplete">False: it began without hearing as many replicas as hold every acknowledged write. Only with W = 1.</param>
public sealed record NamespaceEpoch(string Namespace, Stamp Stamp, bool IsComplete = true)
{
    /// <summary>As rows and mutations carry it; above 0.</summary>
    public long Number => Stamp.Clock;

    /// <summary>Of two epochs with one number the node decides, whatever log it writes by now.</summary>
    public static bool IsLater(Stamp held, long number, string node) =>
        held.Clock > number || (held.Clock == number && string.CompareOrdinal(held.Log.Node, node) > 0);
}
