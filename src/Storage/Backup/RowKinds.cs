using System.Globalization;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Storage.Backup;

/// <summary>What reports call the kinds of rows.</summary>
public static class RowKinds
{
    public static string NameOf(RowVisibility visibility) => visibility switch
    {
        RowVisibility.Shown => "memories",
        RowVisibility.Shadowed => "shadowed",
        _ => "archived",
    };

    public static string NameOf(MutationKind kind) => kind switch
    {
        MutationKind.Memory => "memories",
        MutationKind.MemoryDelete => "tombstones",
        MutationKind.Link => "links",
        MutationKind.Access => "access_counters",
        MutationKind.Standard => "standards",
        MutationKind.Policy => "policies",
        MutationKind.PendingAction => "pending_actions",
        MutationKind.Vote => "votes",
        MutationKind.Agent => "agents",
        MutationKind.Subscription => "subscriptions",
        MutationKind.Message => "messages",
        MutationKind.MessageRead => "messages_read",
        MutationKind.Delivery => "webhook_deliveries",
        MutationKind.Curation => "curations",
        MutationKind.Grant => "grants",
        MutationKind.IdempotencyReceipt => "idempotency_receipts",
        _ => string.Create(CultureInfo.InvariantCulture, $"kind_{(int)kind}"),
    };
}
