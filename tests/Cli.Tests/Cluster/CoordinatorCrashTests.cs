using OrleansMemory.Compliance;

namespace OrleansMemory.Cli.Tests.Cluster;

/// <summary>The node that answered is killed: what it answered is on the others.</summary>
public sealed class CoordinatorCrashTests
{
    private const int Writers = 8;

    [Fact]
    [Trait(Campaign.Trait, "cluster")]
    public async Task What_a_killed_coordinator_answered_survives_and_all_nodes_end_equal()
    {
        var kills = Campaign.Count("cluster", reduced: 5, full: 50);
        var random = new Random(17);
        var ledger = new Ledger();
        await using var cluster = await ProcessCluster.StartAsync();
        for (var kill = 0; kill < kills; kill++)
        {
            var coordinator = cluster[kill % 3];
            var others = cluster.Nodes.Where(node => node != coordinator).ToList();
            using var stop = new CancellationTokenSource();
            var doomed = Enumerable.Range(0, Writers).Select(writer => ledger.WriteAsync(coordinator, $"{kill}-{coordinator}-{writer}", CancellationToken.None)).ToList();
            var writing = others.Select(node => ledger.WriteAsync(node, $"{kill}-{node}", stop.Token)).ToList();

            // From some answer on, the kill comes within 20 ms.
            await ledger.ReachAsync(ledger.Answered.Count + random.Next(50, 200));
            await Task.Delay(random.Next(0, 21));
            await coordinator.KillAsync();
            await Task.WhenAll(doomed);

            // A quorum of two: at least one of the others holds each write that was answered.
            var survived = new Dictionary<string, string>(StringComparer.Ordinal);
            var answered = new Dictionary<string, string>(ledger.Answered);
            foreach (var node in others)
            {
                foreach (var (title, content) in await node.ContentsAsync())
                {
                    survived[title] = content;
                }
            }

            var lost = answered.Where(pair => survived.GetValueOrDefault(pair.Key) != pair.Value).Select(static pair => pair.Key).ToList();
            Assert.True(lost.Count == 0, $"kill {kill} of {coordinator}: {lost.Count} answered writes are on no other node: {string.Join(", ", lost.Take(10))}");

            await coordinator.StartAsync();
            await stop.CancelAsync();
            await Task.WhenAll(writing);
            await cluster.ConnectedAsync();
            await cluster.ConvergedAsync();
            ledger.AssertHeldBy($"after kill {kill} {coordinator}", await coordinator.ContentsAsync());
        }

        TestContext.Current.TestOutputHelper!.WriteLine($"{kills} kills, {ledger.Answered.Count} answered writes, {ledger.Unanswered} unanswered, 0 lost");
        Assert.True(ledger.Unanswered > 0, "no write was in flight at any kill");
        await cluster.EndEqualAsync();
    }
}
