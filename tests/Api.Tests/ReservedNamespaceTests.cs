namespace OrleansMemory.Api.Tests;

/// <summary>What the service keeps for itself is not to be forged, changed or moved into through the routes of memories.</summary>
public sealed class ReservedNamespaceTests(TestNode node) : IClassFixture<TestNode>
{
    public static TheoryData<string> Namespaces => ["_agents", "_messages/bob", "_curator/rollback", "_subscriptions"];

    [Theory]
    [MemberData(nameof(Namespaces))]
    public async Task A_reserved_namespace_takes_no_memory(string name)
    {
        (await node.PostAsync("/api/v1/memories", $$"""{"title":"agent:eve","content":"x","namespace":"{{name}}"}""")).ShouldFail(403, "reserved_namespace");
        var bulk = await node.PostAsync("/api/v1/memories/bulk", $$"""[{"title":"agent:eve","content":"x","namespace":"{{name}}"}]""");
        Assert.Equal("reserved_namespace", (string?)bulk.Json["results"]![0]!["code"]);
        Assert.Equal(0, (int)(await node.PostAsync("/api/v1/import", TestNode.Import(TestNode.Row("forged", "agent:eve", name)))).Json["imported"]!);
        var id = await node.StoreAsync($"to move to {name}");
        (await node.PutAsync($"/api/v1/memories/{id}", $$"""{"namespace":"{{name}}"}""")).ShouldFail(403, "reserved_namespace");
        (await node.PostAsync("/api/v1/namespaces", $$"""{"namespace":"{{name}}","id":"{{id}}"}""")).ShouldFail(403, "reserved_namespace");
        Assert.Equal(0, (int)(await node.GetAsync($"/api/v1/memories?namespace={name}")).Json["count"]!);
    }

    [Fact]
    public async Task A_namespace_that_only_begins_alike_is_free() => await node.StoreAsync("free", ",\"namespace\":\"_agentsmith\"");
}
