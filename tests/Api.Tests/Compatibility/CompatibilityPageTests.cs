using OrleansMemory.Compliance;

namespace OrleansMemory.Api.Tests.Compatibility;

/// <summary>The sections of docs/compatibility.md about routes say what the checks show, and are written by them.</summary>
public sealed class CompatibilityPageTests(TestNode node) : IClassFixture<TestNode>
{
    public static TheoryData<string> Routes => [.. All.Select(route => route.Route)];

    private static IEnumerable<ReferenceRoute> All => ReferenceRoutes.Of060.Concat(ReferenceRoutes.Later);

    [Theory]
    [MemberData(nameof(Routes))]
    public Task A_route_is_as_the_page_says(string route) => All.Single(known => known.Route == route).Check(node);

    [Fact]
    public async Task The_page_is_the_committed_one()
    {
        Assert.Equal(33, ReferenceRoutes.Of060.Count);
        await HoldAsync("HTTP routes of 0.6.0", ReferenceRoutes.Of060);
        await HoldAsync("HTTP routes of later releases and of the SDKs", ReferenceRoutes.Later);
    }

    private static Task HoldAsync(string title, IReadOnlyList<ReferenceRoute> routes) =>
        CompatibilityPage.HoldAsync(title, "route", routes.Select(route => new ComparedRow(route.Route, route.Verdict, route.Why)));
}
