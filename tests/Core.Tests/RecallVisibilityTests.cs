using OrleansMemory.Core.Governance;

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
        var visibility = Visibility.Of(place);
        var parsed = Visibility.ScopeOf(scope);
        Assert.Equal(shown, visibility.Shows(@namespace, parsed));
        Assert.Equal(shown, (visibility.ScopesShown(@namespace) & (1 << (int)parsed)) != 0);
    }
}
