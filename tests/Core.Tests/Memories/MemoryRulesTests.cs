using OrleansMemory.Core.Memories;

namespace OrleansMemory.Core.Tests.Memories;

/// <summary>One case for each rule: its error, its text, and the value just inside the limit.</summary>
public sealed class MemoryRulesTests
{
    private static readonly Timestamp Now = new(1_700_000_000_000_000_000);

    public static TheoryData<string, string, string> Refused => new()
    {
        { "title", "", "title cannot be empty" },
        { "title", " \t\n ", "title cannot be empty" },
        { "title", new string('x', 513), "title exceeds max length" },
        { "title", "a\rb", "title contains invalid characters" },
        { "title", "a\0b", "title contains invalid characters" },
        { "content", "  ", "content cannot be empty" },
        { "content", new string('x', 65_537), "content exceeds max size" },
        { "content", new string('é', 32_769), "content exceeds max size" },
        { "content", "a\r\nb", "content contains invalid characters" },
        { "namespace", "", "namespace cannot be empty" },
        { "namespace", new string('n', 513), "namespace exceeds max length" },
        { "namespace", "a b", "namespace cannot contain" },
        { "namespace", "a\\b", "namespace cannot contain" },
        { "namespace", "a\u0001b", "namespace cannot contain" },
        { "namespace", "/a", "namespace cannot start" },
        { "namespace", "a/", "namespace cannot end" },
        { "namespace", "a//b", "namespace segments" },
        { "namespace", "a/../b", "namespace segments" },
        { "namespace", "1/2/3/4/5/6/7/8/9", "namespace depth" },
        { "source", "ship-gate", "invalid source" },
        { "tag", "", "tags cannot contain empty" },
        { "tag", new string('t', 129), "exceeds max length" },
        { "tag", "a\nb", "tags contain invalid" },
        { "agent", "a b", "agent_id" },
        { "agent", "", "agent_id" },
        { "agent", new string('a', 129), "agent_id" },
        { "scope", "public", "invalid scope" },
        { "expires", "tomorrow", "expires_at is not valid RFC3339" },
        { "expires", "2001-01-01T00:00:00Z", "expires_at is in the past" },
        { "priority", "0", "priority must be between" },
        { "priority", "11", "priority must be between" },
        { "confidence", "-0.1", "confidence must be" },
        { "confidence", "1.1", "confidence must be" },
        { "confidence", "NaN", "confidence must be" },
        { "ttl", "0", "ttl_secs must be positive" },
        { "ttl", "31536001", "ttl_secs exceeds maximum" },
        { "metadata", "[1]", "metadata must be a JSON object" },
        { "metadata", "{", "metadata must be a JSON object" },
    };

    public static TheoryData<string, string> Taken => new()
    {
        { "title", new string('x', 512) },
        { "title", string.Concat(Enumerable.Repeat("🚀", 512)) },
        { "title", "a\tb\nc" },
        { "content", new string('x', 65_536) },
        { "content", new string('é', 32_768) },
        { "namespace", new string('n', 512) },
        { "namespace", "1/2/3/4/5/6/7/8" },
        { "namespace", "_agents" },
        { "source", "chaos" },
        { "tag", new string('t', 128) },
        { "agent", "ai:claude@host:pid-7/x_y.z" },
        { "scope", "collective" },
        { "expires", "2040-01-01T00:00:00+02:00" },
        { "priority", "10" },
        { "confidence", "0" },
        { "ttl", "31536000" },
        { "metadata", """{"a":{"b":[1]}}""" },
    };

    [Theory]
    [MemberData(nameof(Refused))]
    public void A_broken_rule_has_its_own_error(string field, string value, string text)
    {
        var error = Assert.Throws<MemoryException>(() => MemoryRules.Check(With(field, value), Now));
        Assert.Contains(text, error.Message, StringComparison.Ordinal);
        Assert.InRange(error.Kind.HttpStatus, 400, 422);
    }

    [Theory]
    [MemberData(nameof(Taken))]
    public void The_value_inside_the_limit_is_taken(string field, string value) => MemoryRules.Check(With(field, value), Now);

    [Fact]
    public void The_first_broken_rule_wins()
    {
        var draft = new MemoryDraft { Title = "", Content = "", Namespace = "", Source = "x", Priority = 0 };
        Assert.Equal(ErrorKind.TitleEmpty, Assert.Throws<MemoryException>(() => MemoryRules.Check(draft, Now)).Kind);
        Assert.Equal(ErrorKind.ContentEmpty, Assert.Throws<MemoryException>(() => MemoryRules.Check(draft with { Title = "t" }, Now)).Kind);
    }

    [Fact]
    public void Fifty_tags_are_taken_and_fifty_one_refused()
    {
        var tags = Enumerable.Range(0, 51).Select(index => $"t{index}").ToList();
        Assert.Equal(ErrorKind.TooManyTags, Assert.Throws<MemoryException>(() => MemoryRules.Tags(tags)).Kind);
        Assert.Equal(50, MemoryRules.Tags([.. tags.Take(50)]).Count);
    }

    [Fact]
    public void Metadata_has_a_size_and_a_depth()
    {
        var deep = string.Concat(Enumerable.Repeat("{\"a\":", 32)) + "1" + new string('}', 32);
        Assert.Equal(deep, Metadata.Parse(deep).Json);
        Assert.Equal(ErrorKind.MetadataTooDeep, Assert.Throws<MemoryException>(() => Metadata.Parse($$"""{"a":{{deep}}}""")).Kind);
        var large = $$"""{"a":"{{new string('x', 65_536)}}"}""";
        Assert.Equal(ErrorKind.MetadataTooLarge, Assert.Throws<MemoryException>(() => Metadata.Parse(large)).Kind);
    }

    [Fact]
    public void Metadata_is_canonical()
    {
        Assert.Equal("""{"a":[1.50,"é\""],"b":{"x":1,"y":null}}""", Metadata.Parse("""{ "b": {"y":null,"x":1}, "a": [1.50, "\u00e9\""] }""").Json);
        Assert.Equal("""{"a":2}""", Metadata.Parse("""{"a":1,"a":2}""").Json);
        var metadata = Metadata.Parse("""{"a":"1","z":2}""");
        Assert.Equal("""{"a":"1","m":"x","z":2}""", metadata.With("m", "x").Json);
        Assert.Equal("""{"z":2}""", metadata.With("a", null).Json);
        Assert.Equal(("1", null, null), (metadata.Text("a"), metadata.Text("z"), metadata.Text("q")));
    }

    [Fact]
    public void Every_error_kind_has_a_code_of_its_own()
    {
        var kinds = typeof(ErrorKind).GetFields(System.Reflection.BindingFlags.Public | System.Reflection.BindingFlags.Static)
            .Select(field => field.GetValue(null)).OfType<ErrorKind>().ToList();
        Assert.Equal(kinds.Count, kinds.Select(kind => kind.Code).Distinct().Count());
    }

    [Theory]
    [InlineData("2026-04-20T10:00:00Z", "2026-04-20T10:00:00+00:00")]
    [InlineData("2026-04-20T12:00:00.100+02:00", "2026-04-20T10:00:00.100+00:00")]
    [InlineData("2026-04-20t10:00:00.123456z", "2026-04-20T10:00:00.123456+00:00")]
    [InlineData("2026-04-20T10:00:00.1234567899-00:30", "2026-04-20T10:30:00.123456789+00:00")]
    [InlineData("1969-12-31T23:59:59.5Z", "1969-12-31T23:59:59.500+00:00")]
    public void Timestamps_read_any_offset_and_print_one_form(string text, string printed)
    {
        Assert.True(Timestamp.TryParse(text, out var timestamp));
        Assert.Equal(printed, timestamp.ToString());
        Assert.True(Timestamp.TryParse(printed, out var again));
        Assert.Equal(timestamp, again);
    }

    [Theory]
    [InlineData("")]
    [InlineData("2026-04-20")]
    [InlineData("2026-04-20T10:00:00")]
    [InlineData("2026-02-30T10:00:00Z")]
    [InlineData("2026-04-20T24:00:00Z")]
    [InlineData("2026-04-20T10:00:00.Z")]
    [InlineData("2026-04-20T10:00:00+2:00")]
    [InlineData("9999-12-31T23:59:59Z")]
    [InlineData("+026-04-20T10:00:00Z")]
    public void Other_texts_are_no_timestamps(string text) => Assert.False(Timestamp.TryParse(text, out _));

    private static MemoryDraft With(string field, string value)
    {
        var draft = new MemoryDraft { Title = "t", Content = "c" };
        return field switch
        {
            "title" => draft with { Title = value },
            "content" => draft with { Content = value },
            "namespace" => draft with { Namespace = value },
            "source" => draft with { Source = value },
            "tag" => draft with { Tags = [value] },
            "agent" => draft with { AgentId = value },
            "scope" => draft with { Scope = value },
            "expires" => draft with { ExpiresAt = value },
            "priority" => draft with { Priority = int.Parse(value, System.Globalization.CultureInfo.InvariantCulture) },
            "confidence" => draft with { Confidence = double.Parse(value, System.Globalization.CultureInfo.InvariantCulture) },
            "ttl" => draft with { TtlSeconds = long.Parse(value, System.Globalization.CultureInfo.InvariantCulture) },
            "metadata" => draft with { Metadata = Metadata.Parse(value) },
            _ => throw new ArgumentOutOfRangeException(nameof(field)),
        };
    }
}
