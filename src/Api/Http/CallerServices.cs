using Microsoft.AspNetCore.Http;
using OrleansMemory.Core;
using OrleansMemory.Core.Governance;

namespace OrleansMemory.Api.Http;

/// <summary>The node as each caller has it: routes reach it in no other way, so that none forgets who asks.</summary>
internal sealed class CallerServices(IMemoryService service)
{
    /// <summary>Says once, before any route, whose credential the request carries.</summary>
    public void Set(HttpContext context, Principal principal) =>
        context.Features.Set(new Known(principal, ((INodeService)service).As(principal)));

    public IMemoryService Of(HttpContext context) => context.Features.Get<Known>()?.Service ?? service;

    /// <summary>Only where the service is a node.</summary>
    public INodeService NodeOf(HttpContext context) => (INodeService)Of(context);

    /// <summary>Null: the caller has no credential of its own.</summary>
    public static Principal? PrincipalOf(HttpContext context) => context.Features.Get<Known>()?.Principal;

    private sealed record Known(Principal Principal, INodeService Service);
}
