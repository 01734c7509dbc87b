using OrleansMemory.Core.Governance;

namespace OrleansMemory.Compliance;

public abstract partial class StoreCompliance
{
    [Fact]
    public async Task Grants_hold_on_every_node_that_has_them_and_after_a_restart()
    {
        var (writer, eve) = (new Principal(Role.Writer, "bob"), new Principal(Role.Writer, "eve"));
        string id;
        await using (var node = await NodeAsync(name: "granting", nodeId: "a"))
        {
            id = (await node.StoreAsync(Draft("private") with { AgentId = "alice" }, Alice)).Memory.Id;
            var grant = await node.Node.GrantAsync(id, "bob", Permission.Write, Alice);
            Assert.Equal((id, "bob", Permission.Write, "alice"), (grant.MemoryId, grant.AgentId, grant.Permission, grant.By));
            Assert.Equal(id, (await node.Node.As(writer).GetAsync(id)).Memory.Id);
            Assert.Equal(id, Assert.Single((await node.Node.As(writer).SearchAsync(new() { Text = "private" })).Memories).Memory.Id);
            await AssertNotFoundAsync(() => node.Node.As(eve).GetAsync(id));
            await node.Node.As(writer).UpdateAsync(id, new() { Content = "by bob" }, new());

            await using var other = await NodeAsync(nodeId: "b");
            await other.Replica.ApplyAsync(await node.Store.ReadLogAsync(0, 100, int.MaxValue));
            Assert.Equal("by bob", (await other.Node.As(writer).GetAsync(id)).Memory.Content);
            await other.Node.RevokeAsync(id, "bob", Alice);
            await AssertNotFoundAsync(() => other.Node.As(writer).GetAsync(id));
            await AssertNotFoundAsync(() => other.Node.As(writer).UpdateAsync(id, new() { Content = "late" }, new()));
            await AssertSoundAsync(other);
        }

        await using var again = await NodeAsync(name: "granting", nodeId: "a");
        Assert.Equal(id, (await again.Node.As(writer).GetAsync(id)).Memory.Id);
        Assert.Equal("bob", Assert.Single(await again.Node.GrantsAsync(id)).AgentId);
        await AssertNotFoundAsync(() => again.Node.As(eve).GetAsync(id));
    }

    /// <summary>A store that judges its rows itself says what the predicate says.</summary>
    [Fact]
    public async Task Lists_of_a_bearer_hold_exactly_what_the_predicate_shows()
    {
        await using var node = await NodeAsync();
        var random = new Random(3);
        string[] agents = ["alice", "bob", "carol"], namespaces = ["a", "a/b", "a/b/c", "a/b/c/d", "a/bc", "a%", "x"];
        string?[] scopes = [null, "private", "team", "unit", "org", "collective"];
        for (var index = 0; index < 120; index++)
        {
            var agent = agents[random.Next(agents.Length)];
            var stored = await node.StoreAsync(
                Draft($"row {index}") with { Namespace = namespaces[random.Next(namespaces.Length)], Scope = scopes[random.Next(scopes.Length)], AgentId = agent, Priority = random.Next(1, 4) }, new(agent));
            if (random.Next(8) == 0)
            {
                await node.Node.GrantAsync(stored.Memory.Id, "bob", Permission.Read, new(agent));
            }
        }

        var all = (await node.ListAsync(new() { Limit = 200 })).Memories;
        foreach (var place in (string?[])[null, .. namespaces])
        {
            foreach (var agent in agents)
            {
                var principal = new Principal(Role.Writer, agent, place);
                var bearer = node.Node.As(principal);
                var granted = new HashSet<string>(agent == "bob" ? (await Task.WhenAll(all.Select(async memory => (memory.Id, await node.Node.GrantsAsync(memory.Id))))).Where(each => each.Item2.Count > 0).Select(each => each.Id) : []);
                var expected = all.Where(memory => Visibility.Of(principal).Shows(memory) || granted.Contains(memory.Id)).Select(memory => memory.Id).ToList();
                Assert.Equal(expected, (await bearer.ListAsync(new() { Limit = 200 })).Memories.Select(memory => memory.Id));
                Assert.Equal(expected.Skip(3).Take(4), (await bearer.ListAsync(new() { Limit = 4, Offset = 3 })).Memories.Select(memory => memory.Id));
                Assert.Equal(expected.Where(id => all.Single(memory => memory.Id == id).Namespace == "a/b"), (await bearer.ListAsync(new() { Limit = 200, Namespace = "a/b" })).Memories.Select(memory => memory.Id));
            }
        }
    }
}
