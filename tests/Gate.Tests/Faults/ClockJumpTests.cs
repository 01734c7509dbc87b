using OrleansMemory.Gate.Faults;
using OrleansMemory.Gate.Nodes;
using OrleansMemory.Gate.Tests.Nodes;

namespace OrleansMemory.Gate.Tests.Faults;

/// <summary>A wall clock that jumps. One node alone believes its own.</summary>
public sealed class ClockJumpTests
{
    [Fact]
    public async Task A_clock_jumps_ahead_and_back_by_turns_and_is_right_between()
    {
        var fault = FaultInjector.All.Single(static fault => fault.Name == "clock_jump");
        var alone = new NodesPlan("", NodesKind.Peers, Programs.Om) { Count = 1, QuorumWrites = 1 };
        var whyNot = fault.WhyNot(alone);
        Assert.SkipWhen(whyNot is not null, whyNot ?? "");
        using var folder = new ScratchFolder();
        await using var nodes = await NodeSet.StartAsync(fault.Require(alone with { Folder = folder.Path }));
        foreach (var jump in new[] { TimeSpan.FromHours(1), TimeSpan.FromHours(-1) })
        {
            await fault.InjectAsync(nodes, 0);
            await AssertAheadAsync(nodes, jump);
            await fault.HealAsync(nodes, 0);
            await AssertAheadAsync(nodes, TimeSpan.Zero);
        }
    }

    /// <summary>As the answers' Date says.</summary>
    private static async Task AssertAheadAsync(NodeSet nodes, TimeSpan ahead)
    {
        using var http = new HttpClient();
        using var answer = await http.GetAsync(nodes.AddressOf(0));
        Assert.InRange(answer.Headers.Date!.Value - ahead, DateTimeOffset.UtcNow.AddMinutes(-5), DateTimeOffset.UtcNow.AddMinutes(5));
    }
}
