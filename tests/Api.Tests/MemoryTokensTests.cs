using Microsoft.AspNetCore.Http;
using OrleansMemory.Api.Http;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Api.Tests;

public sealed class MemoryTokensTests
{
    private const int Callers = 10_000;

    private readonly MemoryTokens _tokens = new();

    [Fact]
    public void The_caller_that_was_silent_longest_is_forgotten_first()
    {
        for (var caller = 0; caller < Callers; caller++)
        {
            Answer($"agent-{caller}", new(new("n", 1), caller));
        }

        Answer("agent-0", new(new("n", 1), 50_000));
        Answer("one more", new(new("n", 1), 60_000));
        Assert.Equal(Callers, _tokens.Count);
        Assert.Equal(50_000, Assert.Single(Seen("agent-0")).Sequence);
        Assert.Empty(Seen("agent-1"));
        Assert.Equal(2, Assert.Single(Seen("agent-2")).Sequence);
    }

    [Fact]
    public void A_caller_is_remembered_with_the_highest_number_of_its_newest_logs()
    {
        Answer("a", new(new("n", 1), 7));
        Answer("a", new(new("n", 1), 5));
        Assert.Equal(7, Assert.Single(Seen("a")).Sequence);
        for (var incarnation = 2ul; incarnation <= 5; incarnation++)
        {
            Answer("a", new(new("n", incarnation), 1));
        }

        Assert.Equal([5, 4, 3, 2], Seen("a").Select(static token => token.Log.Incarnation));
        Assert.Empty(Seen("b"));
    }

    private void Answer(string caller, LogPosition token)
    {
        var context = Request(caller);
        MemoryTokens.Answer(context, token);
        _tokens.Remember(context, sent: null);
    }

    private IReadOnlyList<LogPosition> Seen(string caller) => _tokens.Of(Request(caller));

    private static DefaultHttpContext Request(string caller)
    {
        var context = new DefaultHttpContext();
        context.Request.Headers["X-Agent-Id"] = caller;
        return context;
    }
}
