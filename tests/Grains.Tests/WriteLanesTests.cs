using System.Globalization;
using System.Text;
using OrleansMemory.Compliance;

namespace OrleansMemory.Grains.Tests;

/// <summary>How writes of a namespace travel to its grain.</summary>
public sealed class WriteLanesTests
{
    private readonly List<(string Namespace, string Commands, TaskCompletionSource<AnswerBatch> Answer)> _calls = [];
    private readonly HeldTime _time = new();
    private readonly WriteLanes _lanes;

    public WriteLanesTests() => _lanes = new(
        (@namespace, batch) =>
        {
            var answer = new TaskCompletionSource<AnswerBatch>(TaskCreationOptions.RunContinuationsAsynchronously);
            lock (_calls)
            {
                _calls.Add((@namespace, string.Join(',', batch.Commands.Select(Encoding.UTF8.GetString)), answer));
            }

            return answer.Task;
        },
        _time);

    [Fact]
    public async Task Writes_that_wait_go_together_and_each_gets_its_answer()
    {
        var writes = Enumerable.Range(0, 5).Select(number => SendAsync(number.ToString(CultureInfo.InvariantCulture))).ToList();
        Assert.Equal(["0", "1"], Commands());
        Answer(0);
        Assert.Equal("0", await writes[0]);
        await CallsAsync(3);
        Assert.Equal(["0", "1", "2,3,4"], Commands());
        Answer(1);
        Answer(2);
        Assert.Equal(["0", "1", "2", "3", "4"], await Task.WhenAll(writes));
        await Eventually.HoldsAsync("nothing is kept of a lane that is empty", () => Task.FromResult(_lanes.Count == 0));
    }

    [Fact]
    public async Task Namespaces_and_quorums_do_not_wait_for_each_other()
    {
        var all = Enumerable.Range(0, 3).Select(_ => SendAsync("all", quorum: "all")).ToList();
        var some = SendAsync("some");
        var other = SendAsync("other", @namespace: "b");
        Assert.Equal(["all", "all", "some", "other"], Commands());
        Answer(2);
        Answer(3);
        Assert.Equal(("some", "other"), (await some, await other));
        Assert.All(all, static write => Assert.False(write.IsCompleted));
    }

    [Fact]
    public async Task A_call_without_an_answer_holds_up_no_other_and_may_still_be_answered()
    {
        var first = SendAsync("0");
        var second = SendAsync("1");
        var third = SendAsync("2");
        Assert.Equal(2, _calls.Count);
        _time.Pass();
        await CallsAsync(3);
        Answer(2);
        Assert.Equal("2", await third);
        Answer(0);
        Answer(1);
        Assert.Equal(("0", "1"), (await first, await second));
    }

    [Fact]
    public async Task A_call_that_fails_fails_its_writes_and_no_others()
    {
        var writes = Enumerable.Range(0, 4).Select(number => SendAsync(number.ToString(CultureInfo.InvariantCulture))).ToList();
        _calls[0].Answer.SetException(new SiloUnavailableException("gone"));
        await CallsAsync(3);
        Answer(1);
        Answer(2);
        await Assert.ThrowsAsync<SiloUnavailableException>(() => writes[0]);
        Assert.Equal(["1", "2", "3"], await Task.WhenAll(writes.Skip(1)));
    }

    [Fact]
    public async Task Large_writes_go_in_several_calls()
    {
        var large = new string('x', 600_000);
        var writes = Enumerable.Range(0, 5).Select(_ => SendAsync(large)).ToList();
        Answer(0);
        await CallsAsync(3);
        Answer(1);
        await CallsAsync(4);
        Assert.All(Commands(), command => Assert.Equal(large.Length, command.Length));
        Answer(2);
        await CallsAsync(5);
        Answer(3);
        Answer(4);
        await Task.WhenAll(writes);
    }

    [Fact]
    public void The_highest_position_of_each_log_is_remembered_of_a_namespace()
    {
        var tokens = new NamespaceTokens();
        tokens.Note("a", new(new("n1", 1), 7));
        tokens.Note("a", new(new("n1", 1), 5));
        tokens.Note("a", new(new("n2", 1), 3));
        Assert.Equal(["n1~0000000000000001:7", "n2~0000000000000001:3"], tokens.Of("a").Select(static token => token.ToString()).Order(StringComparer.Ordinal));
        for (var number = 0; number < 2 * NamespaceTokens.Namespaces; number++)
        {
            tokens.Note(string.Create(CultureInfo.InvariantCulture, $"other {number}"), new(new("n1", 1), 1));
        }

        Assert.Empty(tokens.Of("a"));
        Assert.Empty(tokens.Of("unknown"));
    }

    private async Task<string> SendAsync(string command, string? quorum = null, string @namespace = "a") =>
        Encoding.UTF8.GetString((await _lanes.SendAsync(@namespace, quorum, Encoding.UTF8.GetBytes(command))).Answer);

    /// <summary>Each command is its own answer.</summary>
    private void Answer(int call) => _calls[call].Answer.SetResult(new([.. _calls[call].Commands.Split(',').Select(static command => new AnswerMessage(Encoding.UTF8.GetBytes(command)))]));

    private IEnumerable<string> Commands()
    {
        lock (_calls)
        {
            return [.. _calls.Select(static call => call.Commands)];
        }
    }

    private Task CallsAsync(int number) => Eventually.HoldsAsync($"{number} calls are made", () => Task.FromResult(Commands().Count() == number));

    /// <summary>No call takes long until the test says so: on a busy machine any may.</summary>
    private sealed class HeldTime : TimeProvider
    {
        private readonly List<Action> _timers = [];

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
        {
            _timers.Add(() => callback(state));
            return System.CreateTimer(static _ => { }, null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        }

        /// <summary>Everything that was waited for until now is over.</summary>
        public void Pass() => _timers.ForEach(static fire => fire());
    }
}
