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
