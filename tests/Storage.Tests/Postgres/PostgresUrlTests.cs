using OrleansMemory.Core.Memories;
using OrleansMemory.Storage.Postgres;

namespace OrleansMemory.Storage.Tests.Postgres;

public sealed class PostgresUrlTests
{
    [Theory]
    [InlineData("postgres://alice:s%40cret@db.example:6432/memories?sslmode=verify-full", "db.example", 6432, "memories", "alice", "s@cret")]
    [InlineData("postgresql://db/memories", "db", 5432, "memories", null, null)]
    [InlineData("POSTGRES://[::1]:5433/m", "::1", 5433, "m", null, null)]
    [InlineData("postgres:///m?host=%2Frun%2Fpostgresql&user=bob&password=pass", "/run/postgresql", 5432, "m", "bob", "pass")]
    [InlineData("postgres://u:p:q@h/m", "h", 5432, "m", "u", "p:q")]
    public void Urls_say_where_a_database_is(string url, string host, int port, string database, string? user, string? password)
    {
        var parsed = PostgresUrl.Parse(url);
        var connection = parsed.ToConnection();
        Assert.Equal((host, port, database, user, password), (connection.Host, connection.Port, connection.Database, connection.Username, connection.Password));
        Assert.DoesNotContain(password ?? "s@cret", parsed.ToString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("postgres://u:hidden@h")]
    [InlineData("postgres://u:hidden@h/")]
    [InlineData("postgres://u:hidden@h:port/m")]
    [InlineData("postgres://u:hidden@h:0/m")]
    [InlineData("postgres://u:hidden@[::1/m")]
    [InlineData("postgres://u:hidden@h/m?hidden=1")]
    [InlineData("postgres://u:hidden@h/m?sslmode=hidden")]
    [InlineData("mysql://u:hidden@h/m")]
    public void A_url_that_cannot_be_used_is_refused_and_not_repeated(string url)
    {
        var refused = Assert.Throws<MemoryException>(() => PostgresUrl.Parse(url));
        Assert.Equal(ErrorKind.InvalidQuery, refused.Kind);
        Assert.DoesNotContain("hidden", refused.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task No_failure_tells_the_password()
    {
        var refused = await Assert.ThrowsAsync<MemoryException>(() => PostgresStore.OpenAsync(PostgresUrl.Parse("postgres://alice:hidden@127.0.0.1:1/memories")));
        Assert.Equal(ErrorKind.StoreFailed, refused.Kind);
        Assert.Contains("127.0.0.1:1/memories", refused.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("hidden", refused.ToString(), StringComparison.Ordinal);
    }
}
