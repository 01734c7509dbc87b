using OrleansMemory.Core.Governance;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Core.Tests;

public sealed class RecallVisibilityTests
{
    [Theory]
    [InlineData("a/b/c/d", "a/b/c/d", null, true)]
    [InlineData("a/b/c/d", "a/b/c/d", "private", true)]
    [InlineData("a/b/c/d", "a/b/c/d/e", "private", false)]
    [InlineData("a/b/c/d", "a/b/c", "private", false)]
    [InlineData("a/b/c/d", "a/b/c", "team", true)]
    [InlineData("a/b/c/d", "a/b/c/x/y", "team", true)]
    [InlineData("a/b/c/d", "a/b/cx", "team", false)]
    [InlineData("a/b/c/d", "a/b", "team", false)]
    [InlineData("a/b/c/d", "a/b", "unit", true)]
    [InlineData("a/b/c/d", "a/b/z", "unit", true)]
    [InlineData("a/b/c/d", "a", "unit", false)]
    [InlineData("a/b/c/d", "a/z", "org", true)]
    [InlineData("a/b/c/d", "ab", "org", false)]
    [InlineData("a/b/c/d", "z", "collective", true)]
    [InlineData("a", "a", "team", false)]
    [InlineData("a/b", "a", "team", true)]
    [InlineData("a/b", "a", "unit", false)]
    [InlineData("a/b/c", "a", "org", false)]
    [InlineData("a", "a", "galaxy", true)]
    [InlineData(null, "z", "private", true)]
    public void A_place_sees_what_its_scopes_reach(string? place, string @namespace, string? scope, bool shown)
    {
        var visibility = Visibility.Of(principal: null, place);
        var parsed = Visibility.ScopeOf(scope);
        Assert.Equal(shown, visibility.Shows(@namespace, parsed, isOwn: false));
        Assert.Equal(shown, (visibility.ScopesShown(@namespace, isOwn: false) & (1 << (int)parsed)) != 0);
    }

    [Theory]
    [InlineData("a/b/c", "a/b/c", "private", false, false)]
    [InlineData("a/b/c", "z", "private", true, true)]
    [InlineData(null, "z", "private", true, true)]
    [InlineData(null, "z", "team", false, false)]
    [InlineData(null, "z", "collective", false, true)]
    [InlineData("a/b/c", "a/b", "team", false, true)]
    [InlineData("a/b/c", "a", "unit", false, true)]
    [InlineData("a/b/c", "z", "team", false, false)]
    [InlineData("a/b/c", "a/b/c", "galaxy", false, false)]
    public void The_bearer_of_a_credential_sees_its_own_and_what_scopes_show(string? place, string @namespace, string scope, bool isOwn, bool shown)
    {
        var visibility = Visibility.Of(new(Role.Writer, "me", place));
        Assert.Equal(shown, visibility.Shows(@namespace, Visibility.ScopeOf(scope), isOwn));
        Assert.Equal(shown, visibility.Shows(Memory(@namespace, scope, isOwn ? "me" : "other")));
        Assert.True(Visibility.Of(new(Role.Admin, "me", place)).Shows(Memory(@namespace, scope, "other")));

        // A place that is named narrows it, and shows nothing more.
        Assert.Equal(shown && scope == "collective", Visibility.Of(new(Role.Writer, "me", place), "elsewhere").Shows(Memory(@namespace, scope, "other")));
    }

    [Fact]
    public void A_memory_without_an_author_is_nobodys() => Assert.False(Visibility.Of(new(Role.Reader, "me", "a")).Shows(Memory("a", "private", author: null)));

    private static Memory Memory(string @namespace, string scope, string? author) => new()
    {
        Id = "id",
        Tier = Tier.Mid,
        Namespace = @namespace,
        Title = "t",
        Content = "c",
        Source = "api",
        CreatedAt = default,
        UpdatedAt = default,
        Metadata = Metadata.Empty.With("scope", scope).With("agent_id", author),
    };
}
