using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Orleans.Dashboard;

namespace OrleansMemory.Silo;

/// <summary>
/// Orleans' dashboard under <c>/dashboard</c>. A browser asks for a password and sends it with every request (HTTP Basic, any user
/// name): it is the API key. What the dashboard shows are names and numbers, no memories; the live log is not served.
/// </summary>
internal sealed class DashboardGate(string apiKey, Func<IServiceProvider?> silo)
{
    public const string Path = "/dashboard";

    private readonly byte[] _key = SHA256.HashData(Encoding.UTF8.GetBytes(apiKey));
    private readonly Lock _gate = new();
    private (IServiceProvider Services, RequestDelegate Serve)? _built;

    public async Task InvokeAsync(HttpContext context, RequestDelegate next)
    {
        if (!context.Request.Path.StartsWithSegments(Path, StringComparison.Ordinal))
        {
            await next(context);
            return;
        }

        if (!Admits(context))
        {
            context.Response.StatusCode = StatusCodes.Status401Unauthorized;
            context.Response.Headers.WWWAuthenticate = "Basic realm=\"dashboard\", charset=\"UTF-8\"";
            return;
        }

        if (silo() is not { } services)
        {
            context.Response.StatusCode = StatusCodes.Status503ServiceUnavailable;
            return;
        }

        // The dashboard lives in the silo's container, and finds everything there.
        var own = context.RequestServices;
        context.RequestServices = services;
        try
        {
            await Serve(services)(context);
        }
        finally
        {
            context.RequestServices = own;
        }
    }

    private bool Admits(HttpContext context)
    {
        if (!AuthenticationHeaderValue.TryParse(context.Request.Headers.Authorization, out var header)
            || !string.Equals(header.Scheme, "Basic", StringComparison.OrdinalIgnoreCase) || header.Parameter is null)
        {
            return false;
        }

        var bytes = new byte[header.Parameter.Length];
        if (!Convert.TryFromBase64String(header.Parameter, bytes, out var length))
        {
            return false;
        }

        var given = bytes.AsSpan(0, length);
        var password = given[(given.IndexOf((byte)':') + 1)..];
        return CryptographicOperations.FixedTimeEquals(SHA256.HashData(password), _key);
    }

    private RequestDelegate Serve(IServiceProvider services)
    {
        lock (_gate)
        {
            if (_built is not { } built || !ReferenceEquals(built.Services, services))
            {
                var application = new ApplicationBuilder(services);
                application.UseRouting();
                application.UseEndpoints(static endpoints => endpoints.MapOrleansDashboard(Path));
                _built = built = (services, application.Build());
            }

            return built.Serve;
        }
    }
}
