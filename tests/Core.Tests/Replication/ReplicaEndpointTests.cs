using OrleansMemory.Compliance;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Replication;
using static OrleansMemory.Core.Tests.Replication.Rows;

namespace OrleansMemory.Core.Tests.Replication;

/// <summary>What a node lets others ship to it and read from it.</summary>
public sealed class ReplicaEndpointTests : IAsyncLifetime
{
    private readonly ManualTime _time = new();
    private Node _node = null!;
    private ReplicaCondition _condition = null!;
    private ReplicaEndpoint _endpoint = null!;

    public async ValueTask InitializeAsync()
    {
        _node = await Node.StartAsync("a", _time);
        var settings = new ReplicaSetSettings(1, null, TimeSpan.FromSeconds(1));
        _condition = await _node.ConditionAsync(settings, new(10, 10));
        _endpoint = new(_node.Store, _node.Replica, _node.Session(settings, _condition, _time), _condition);
    }

    public ValueTask DisposeAsync() => _node.DisposeAsync();

    [Fact]
    public async Task Nothing_is_read_before_floors_were_compared_or_below_them()
    {
        await _node.Replica.ApplyAsync([Put("x", 1, 20)]);
        await RequireNotYetAsync(() => _endpoint.ReadDigestsAsync(0, TestContext.Current.CancellationToken));
        await RequireNotYetAsync(() => _endpoint.ReadHashesAsync([], null, TestContext.Current.CancellationToken));
        await RequireNotYetAsync(() => _endpoint.ReadRowsAsync([new(MutationKind.Memory, "x")], TestContext.Current.CancellationToken));
        await RequireNotYetAsync(() => _endpoint.ReadSomeRowsAsync([new(MutationKind.Memory, "x")], TestContext.Current.CancellationToken));
        Heard(common: 10);
        await RequireNotYetAsync(() => _endpoint.ReadDigestsAsync(11, TestContext.Current.CancellationToken));
        var digests = (await _endpoint.ReadDigestsAsync(10, TestContext.Current.CancellationToken)).Digests;
        Assert.Equal(1, digests[new("ns", Digest.BucketOf("x"))].Rows);
        Assert.Equal("x", Assert.Single((await _endpoint.ReadHashesAsync([.. digests.Keys], null, TestContext.Current.CancellationToken)).Rows).Key.Key);
        Assert.Equal("x", Assert.Single(await _endpoint.ReadRowsAsync([new(MutationKind.Memory, "x")], TestContext.Current.CancellationToken)).Key.Key);
    }

    [Fact]
    public async Task Nothing_is_shipped_to_an_old_copy_nor_by_one()
    {
        await RequireNotYetAsync(() => _endpoint.ApplyAsync([Put("x", 1, 20)]));
        var answer = await _endpoint.GreetAsync(Hello(floor: 10, common: 10));
        Assert.Equal((_node.Store.Log, 10), (answer.Log, answer.Floor));
        Assert.Equal([ApplyOutcome.Applied], await _endpoint.ApplyAsync([Put("x", 1, 20)]));
        await _endpoint.GreetAsync(Hello(floor: 10, common: 11));
        await RequireNotYetAsync(() => _endpoint.ApplyAsync([Put("y", 2, 20)]));
        Assert.Null(await _node.Store.FindAsync("y"));
    }

    [Fact]
    public async Task Many_rows_are_read_in_parts_that_fit_an_answer()
    {
        Heard(common: 10);
        var large = MemoryCodec.Decode(Put("x", 1, 20).Body);
        large = large with { Body = large.Body with { Value = large.Body.Value with { Content = new('x', LinkCodec.BatchBytes / 32) } } };
        await _node.Writer.RunAsync(async session =>
        {
            for (var number = 0; number < 70; number++)
            {
                await session.JoinAsync(MutationKind.Memory, MemoryCodec.Encode(large with { Id = $"large {number}" }), long.MaxValue);
                await session.JoinAsync(MutationKind.Memory, Put($"small {number}", 1, 20).Body, long.MaxValue);
            }

            return 0;
        });
        Assert.Equal((70, 70), await CountAsync("small", 70));
        Assert.Equal((32, 32), await CountAsync("large", 70));
        Assert.Equal((0, 33), await CountAsync("missing", 33));

        async Task<(int Rows, int Answered)> CountAsync(string kind, int count)
        {
            var (rows, answered) = await _endpoint.ReadSomeRowsAsync([.. Enumerable.Range(0, count).Select(number => new RowKey(MutationKind.Memory, $"{kind} {number}"))], TestContext.Current.CancellationToken);
            return (rows.Count, answered);
        }
    }

    private static async Task RequireNotYetAsync<T>(Func<Task<T>> act) => Assert.Equal(ErrorKind.NotYet, (await Assert.ThrowsAsync<MemoryException>(act)).Kind);

    private void Heard(long common) => _condition.Heard("there", Hello(floor: 10, common), new Dictionary<string, PeerHello>());

    private static PeerHello Hello(long floor, long common) => Rows.Hello(new("b", 1)) with { Floor = floor, CommonFloor = common };
}
