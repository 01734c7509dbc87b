using System.Reflection;
using Orleans.Configuration;
using OrleansMemory.Compliance;
using OrleansMemory.Core;

namespace OrleansMemory.Grains.Tests;

/// <summary>How activations end that nobody needs.</summary>
public sealed class IdleTests(IdleTests.ShortLivedCluster cluster) : IClassFixture<IdleTests.ShortLivedCluster>
{
    private static readonly WriteContext Alice = new("alice");

    [Fact]
    public async Task A_namespace_that_nobody_writes_to_lets_go_of_its_activation_and_gets_another()
    {
        var management = cluster.Grains(0).GetGrain<IManagementGrain>(0);
        var stored = 0;
        await Eventually.HoldsAsync("it has an activation", async () =>
        {
            await StoreAsync();
            return await ActivationsAsync() == 1;
        });
        await Eventually.HoldsAsync("the activation has ended", async () => await ActivationsAsync() == 0);
        await StoreAsync();
        await cluster.ConvergedAsync();
        Assert.Equal(stored, (await cluster.Nodes[2].StatisticsAsync()).Total);

        Task StoreAsync() => cluster.Nodes[0].StoreAsync(new() { Title = $"{++stored}", Content = "idle", Namespace = "idle" }, Alice);

        async Task<int> ActivationsAsync() => (await management.GetActiveGrains(GrainType.Create("namespace"))).Count;
    }

    /// <summary>It goes by the wall clock: when a silo's clock was ahead for a moment, it refuses new activations there until that time has come.</summary>
    [Fact]
    public void No_grain_is_left_to_the_collector_of_Orleans()
    {
        var grains = typeof(NamespaceGrain).Assembly.GetTypes().Where(static type => type.IsSubclassOf(typeof(Grain)) && !type.IsAbstract).ToList();
        Assert.Equal(6, grains.Count);
        Assert.All(grains, static grain => Assert.True(grain.GetCustomAttribute<CollectionAgeLimitAttribute>()?.AlwaysActive, grain.Name));
    }

    public sealed class ShortLivedCluster : GrainCluster
    {
        protected override void Configure(ISiloBuilder silo) => silo.Configure<GrainCollectionOptions>(static options =>
        {
            options.CollectionQuantum = TimeSpan.FromSeconds(1);
            options.CollectionAge = TimeSpan.FromSeconds(2);
        });
    }
}
