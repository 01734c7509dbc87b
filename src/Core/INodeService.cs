using OrleansMemory.Core.Governance;
using OrleansMemory.Core.Messaging;

namespace OrleansMemory.Core;

public partial interface INodeService
{
    /// <summary>The node as the bearer of a credential has it.</summary>
    INodeService As(Principal principal);

    /// <summary>Tells a registered agent of changes from now on, wherever they are made.</summary>
    Task<Subscription> SubscribeAsync(SubscriptionDraft draft, WriteContext context);

    /// <summary>Latest first.</summary>
    /// <param name="owner">Null: anybody's.</param>
    Task<IReadOnlyList<Subscription>> SubscriptionsAsync(string? owner, CancellationToken cancellation = default);

    /// <returns>False: there is none of that owner.</returns>
    Task<bool> UnsubscribeAsync(string id, string? owner, WriteContext context);
}
