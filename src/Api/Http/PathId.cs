using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Api.Http;

internal static class PathId
{
    private const string RoutePrefix = "/api/v1/";

    /// <summary>The id in the path, percent-decoded, the escaped slash included.</summary>
    /// <exception cref="MemoryException"><see cref="ErrorKind.InvalidId"/></exception>
    public static string Of(HttpContext context) => MemoryRules.Id(Text(context, "id"));

    /// <summary>The text that stands behind the first word of the path, percent-decoded, the escaped slash included.</summary>
    public static string Text(HttpContext context, string name)
    {
        var id = (string)context.Request.RouteValues[name]!;
        if (id.Contains("%2f", StringComparison.OrdinalIgnoreCase))
        {
            // The server leaves an escaped slash as it is, and so "%252F" and "%2F" look alike here; only the raw target tells.
            var target = context.Features.Get<IHttpRequestFeature>()!.RawTarget.Split('?', 2)[0];
            var start = target.IndexOf(RoutePrefix, StringComparison.Ordinal);
            if (start >= 0 && target[(start + RoutePrefix.Length)..].Split('/') is [_, var escaped, ..])
            {
                id = Uri.UnescapeDataString(escaped);
            }
        }

        return id;
    }
}
