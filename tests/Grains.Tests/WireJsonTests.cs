using System.Text;
using OrleansMemory.Core;
using OrleansMemory.Core.Governance;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Grains.Tests;

/// <summary>What grain calls carry, between versions too.</summary>
public sealed class WireJsonTests
{
    private static readonly WriteContext Context = new("ai:a", "key", "version", "all");

    private static readonly Memory Whole = new()
    {
        Id = "id",
        Tier = Tier.Long,
        Namespace = "a/b",
        Title = "title \u2028 \"quoted\"",
        Content = "content",
        Tags = ["x", "y"],
        Priority = 7,
        Confidence = 0.1 + 0.2,
        Source = "api",
        AccessCount = 3,
        CreatedAt = new(1_700_000_000_123_456_789),
        UpdatedAt = new(long.MaxValue),
        LastAccessedAt = new(5),
        ExpiresAt = new(6),
        Metadata = Metadata.Parse("""{"agent_id":"ai:a","n":{"deep":[1,2.50,"é"]}}"""),
    };

    public static TheoryData<string> Kinds => [.. Commands.Keys];

    private static Dictionary<string, WriteCommand> Commands { get; } = new()
    {
        ["store"] = new StoreCommand(new() { Title = "t", Content = "c", Tags = ["x"], Confidence = 0.3, ExpiresAt = "2030-01-01T00:00:00Z", TtlSeconds = 5, Metadata = Whole.Metadata, AgentId = "a", Scope = "team" }) { Context = Context },
        ["import"] = new ImportCommand(Whole) { Context = Context },
        ["sync"] = new SyncCommand(Whole) { Context = Context },
        ["update"] = new UpdateCommand("id", new() { Title = "t", Tier = Tier.Short, Tags = [], ExpiresAt = "", ClearExpiry = true, Metadata = Metadata.Empty }) { Context = Context },
        ["delete"] = new DeleteCommand("id") { Context = new() },
        ["promote"] = new PromoteCommand("id") { Context = Context },
        ["link"] = new LinkCommand("a", "b", "related_to", new Timestamp(9)) { Context = Context },
        ["forget"] = new ForgetCommand(["a", "b"]) { Context = Context },
        ["run"] = new RunCommand(new SetStandardCommand("id", "parent", null)) { Context = Context },
        ["set_quorum"] = new SetQuorumCommand(null) { Context = Context },
    };

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Commands_come_out_as_they_went_in(string kind)
    {
        var command = Commands[kind];
        var sent = WireJson.Encode(command);
        Assert.Contains($"\"do\":\"{kind}\"", Encoding.UTF8.GetString(sent), StringComparison.Ordinal);
        Assert.Equivalent(command, WireJson.DecodeCommand(sent), strict: true);
    }

    [Fact]
    public void Answers_come_out_as_they_went_in()
    {
        var log = new LogId("n1~x", 0xfeed);
        var receipt = new WriteReceipt(Whole, Created: true, new(log, 17), new(99, log), "v") { Quorum = new(2, 2, null) { Standard = 3 }, Durability = Durabilities.BelowQuorum };
        Assert.Equivalent(receipt, WireJson.DecodeAnswer(WireJson.Encode(new WriteAnswer { Receipt = receipt })).Receipt, strict: true);
        var link = new LinkReceipt(new("a", "b", "r", new(4)), Linked: true, new(log, 1), new(2, log)) { Quorum = new(3, 2, null) };
        Assert.Equivalent(link, WireJson.DecodeAnswer(WireJson.Encode(new WriteAnswer { Link = link })).Link, strict: true);
        var entry = new EntryState(EntryBodies.AgentKey("a"), "a", null, Live: true, new(7, log), """{"agent_type":"human"}"""u8.ToArray());
        var result = WireJson.DecodeAnswer(WireJson.Encode(new WriteAnswer { Result = new() { Entry = entry, Count = 2, Position = new(log, 3) } })).Result!;
        Assert.Equal(entry.Encode(), result.Entry!.Encode());
        Assert.Equal((2, new LogPosition(log, 3)), (result.Count, result.Position));
        Assert.Equal(5, WireJson.DecodeAnswer(WireJson.Encode(new WriteAnswer { Count = 5 })).Count);
    }

    public static TheoryData<string> Asked => [.. Questions.Keys];

    private static Dictionary<string, Question> Questions { get; } = new()
    {
        ["list"] = new ListQuestion(new() { Namespace = "a", Tier = Tier.Long, Since = new(5), Limit = 7, Cursor = "c" }) { Seen = [new(new("n1", 2), 9)] },
        ["search"] = new SearchQuestion(new() { Text = "t", AsAgent = "a" }),
        ["recall"] = new RecallQuestion(new() { Context = "c", BudgetTokens = 9 }),
        ["changes"] = new ChangesQuestion(new(new(5), "id"), 3),
        ["store_many"] = new StoreManyQuestion([new() { Title = "t", Content = "c", Tags = ["x"] }], Context),
        ["import"] = new ImportQuestion([Whole], [new("a", "b", "r", new(4))], new(TrustSource: false), Context),
        ["update"] = new UpdateQuestion("id", new() { Content = "c" }, Context),
        ["forget"] = new ForgetQuestion(new("n", "p", Tier.Mid), Context),
        ["sync"] = new SyncQuestion([Whole], Context),
        ["cluster"] = new ClusterQuestion(),
        ["grant"] = new GrantQuestion("id", "bob", Core.Governance.Permission.Admin, Context),
        ["contradictions"] = new ContradictionsQuestion(new("topic", null, 7)),
        ["curate"] = new CurateQuestion(new(7, DryRun: true, ["a"], ["b"]), Context),
        ["undo_runs"] = new UndoRunsQuestion(null, 3, Context),
    };

    [Theory]
    [MemberData(nameof(Asked))]
    public void Questions_come_out_as_they_went_in(string kind)
    {
        var sent = WireJson.Encode(Questions[kind]);
        Assert.Contains($"\"ask\":\"{kind}\"", Encoding.UTF8.GetString(sent), StringComparison.Ordinal);
        Assert.Equivalent(Questions[kind], WireJson.DecodeQuestion(sent), strict: true);
    }

    [Fact]
    public void What_a_service_answers_comes_out_as_it_went_in()
    {
        var log = new LogId("n1", 7);
        var held = AppliedSet.None.With(1, 5).With(9, 9).With(12, 20);
        var vector = new Dictionary<LogId, AppliedSet> { [log] = held };
        var hello = new PeerHello(log, 20, 99, 98, 3, 2, ["n1", "n2"], Recovering: true, Readable: false, 4, 3, vector, new Dictionary<LogId, long> { [log] = 21 }, 6);
        var status = new ReplicaSetStatus(
            log, 20, 3, 2, Recovering: false, TimeSpan.FromMilliseconds(-5), new(4, 3), vector, [new("silo:n2", "n2", IsUp: true, null, 3, 0.5, new Timestamp(9), hello)]);
        var answer = WireJson.Decode<ReplicaSetStatus>(WireJson.EncodeAnswer(status));
        Assert.Equivalent(status with { Vector = new Dictionary<LogId, AppliedSet>(), Peers = [] }, answer with { Vector = new Dictionary<LogId, AppliedSet>(), Peers = [] }, strict: true);
        Assert.Equal(held.FormatAbove(), answer.Vector[log].FormatAbove());
        Assert.Equal((held.Through, 20L, 21L), (answer.Vector[log].Through, answer.Peers[0].Hello!.HeadSequence, answer.Peers[0].Hello!.HighestOf(log)));
        var digest = new Digest(3, UInt128.MaxValue - 1);
        Assert.Equal(digest, WireJson.Decode<Digest>(WireJson.EncodeAnswer(digest)));
        var mutation = new Mutation(new(log, 5), new(77, log), 3, MutationKind.Memory, "k", new byte[] { 1, 2, 250 }, "key");
        var letters = WireJson.Decode<DeadLetters>(WireJson.EncodeAnswer(new DeadLetters(9, [new(mutation, ApplyOutcome.RefusedFutureStamp, 2, new(1), new(2))])));
        Assert.Equal((9L, mutation.Stamp, ApplyOutcome.RefusedFutureStamp), (letters.Count, letters.First[0].Mutation.Stamp, letters.First[0].Reason));
        Assert.True(mutation.Body.Span.SequenceEqual(letters.First[0].Mutation.Body.Span));
        IReadOnlyList<RowOutcome> outcomes =
            [new MemoryException(ErrorKind.TitleEmpty, "no title"), new QuorumException(new(1, 2, QuorumReasons.Timeout), QuorumException.StoredLocally, "too few")];
        var rows = WireJson.Decode<IReadOnlyList<RowOutcome>>(WireJson.EncodeAnswer(outcomes));
        Assert.Equal((ErrorKind.TitleEmpty, "no title"), (rows[0].Error!.Kind, rows[0].Error!.Message));
        Assert.Equal((QuorumException.StoredLocally, 2), (((QuorumException)rows[1].Error!).Outcome, ((QuorumException)rows[1].Error!).Quorum.Needed));
    }

    [Fact]
    public void Errors_come_out_as_they_went_in()
    {
        var plain = WireJson.DecodeAnswer(WireJson.Encode(WriteAnswer.Of(new MemoryException(ErrorKind.TitleTaken, "taken")))).ToException();
        Assert.Equal((ErrorKind.TitleTaken, "taken"), (plain.Kind, plain.Message));
        var log = new LogId("n1", 1);
        var written = new WriteReceipt(Whole, Created: true, new(log, 17), new(99, log), "v");
        var failed = new QuorumException(new(1, 2, QuorumReasons.Fenced) { MetDelete = true }, QuorumException.StoredLocally, "too few") { Written = written };
        var message = WriteAnswer.Of(failed).ToMessage();
        Assert.True(message.IsFenced);
        var quorum = Assert.IsType<QuorumException>(WireJson.DecodeAnswer(message.Answer).ToException());
        Assert.Equal((failed.Quorum, failed.Outcome, failed.Message, failed.Kind), (quorum.Quorum, quorum.Outcome, quorum.Message, quorum.Kind));
        Assert.Equivalent(written, quorum.Written, strict: true);
    }

    [Fact]
    public void A_newer_node_may_say_more_and_an_older_one_less()
    {
        var more = WireJson.DecodeCommand("""{"later":{"a":[1]},"id":"x","do":"delete","context":{"agent_id":"a","later":1}}"""u8.ToArray());
        Assert.Equal(new DeleteCommand("x") { Context = new("a") }, more);
        var less = WireJson.DecodeAnswer("""{"receipt":{"memory":{"id":"i","tier":1,"namespace":"n","title":"t","content":"c","source":"api","created_at":1,"updated_at":2},"created":true,"position":{"log":"n1~0000000000000001","sequence":4},"stamp":{"clock":1,"log":"n1~0000000000000001"},"version":"v"}}"""u8.ToArray());
        Assert.Equal((5, Durabilities.Local), (less.Receipt!.Memory.Priority, less.Receipt.Durability));
        Assert.Equal(ErrorKind.MalformedRequest, Assert.Throws<MemoryException>(() => WireJson.DecodeCommand("""{"do":"something new","context":{}}"""u8.ToArray())).Kind);
    }
}
