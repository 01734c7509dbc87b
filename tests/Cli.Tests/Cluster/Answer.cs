using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;

namespace OrleansMemory.Cli.Tests.Cluster;

/// <summary>What a node answered, and how long that took.</summary>
internal sealed record Answer(HttpStatusCode Status, JsonElement Body, HttpResponseHeaders Headers, TimeSpan Elapsed)
{
    public int Code => (int)Status;

    public string Id => Text("id") ?? throw new InvalidOperationException($"no id in {Body}");

    public string? Text(string field) => Body.ValueKind == JsonValueKind.Object && Body.TryGetProperty(field, out var value) ? value.GetString() : null;

    public int? Number(string field) => Body.ValueKind == JsonValueKind.Object && Body.TryGetProperty(field, out var value) ? value.GetInt32() : null;

    public string? Header(string name) => Headers.TryGetValues(name, out var values) ? values.First() : null;

    /// <summary>Fails the test with the body when the status differs.</summary>
    public Answer Is(HttpStatusCode status)
    {
        Assert.True(Status == status, $"status {Code}, expected {(int)status} after {Elapsed.TotalMilliseconds:F0} ms: {Body}");
        return this;
    }

    /// <summary>503 with the reason, what became of the write, and the word to come again.</summary>
    public Answer MissesQuorum(string reason, string outcome)
    {
        Is(HttpStatusCode.ServiceUnavailable);
        Assert.True(
            (Text("error"), Text("reason"), Text("outcome"), Header("Retry-After")) == ("quorum_not_met", reason, outcome, "2"),
            $"expected quorum_not_met, {reason}, {outcome} and Retry-After: 2, got {Body} with Retry-After: {Header("Retry-After")}");
        return this;
    }
}
