using System.Globalization;
using System.Net.Http.Json;
using System.Text.Json;
using OrleansMemory.Compliance;

namespace OrleansMemory.Cli.Tests;

/// <summary>Many memories in one node: every read stays right to the last page, in bounded memory.</summary>
public sealed class ScaleTests : IDisposable
{
    private const int Namespaces = 7;
    private const int Groups = 1_000;
    private const int BatchRows = 1_000;
    private const int PageRows = 200;

    private readonly Om _om = new();

    [Fact]
    [Trait(Campaign.Trait, "million")]
    public async Task Reads_stay_right_to_the_last_page_and_memory_bounded()
    {
        var rows = Campaign.Count("million", reduced: 30_000, full: 1_000_000);
        await using var node = await _om.ServeAsync();
        using var http = new HttpClient { BaseAddress = new Uri(node.Url), Timeout = TimeSpan.FromMinutes(5) };
        await LoadAsync(http, rows);

        var ids = await ListAsync(http, "", rows);
        var second = await ListAsync(http, "&namespace=ns/2", Share(rows, Namespaces, 2));
        Assert.Subset(ids, second);

        var random = new Random(3);
        for (var probe = 0; probe < 200; probe++)
        {
            var row = probe switch { 0 => 0, 1 => rows - 1, _ => random.Next(rows) };
            var hit = Assert.Single((await GetAsync(http, $"/api/v1/recall?context=uniq{row}&limit=5")).GetProperty("memories").EnumerateArray());
            Assert.Equal($"row {row}", hit.GetProperty("title").GetString());
            var memory = (await GetAsync(http, $"/api/v1/memories/{hit.GetProperty("id").GetString()}")).GetProperty("memory");
            Assert.Equal(Content(row), memory.GetProperty("content").GetString());
            var group = row % Groups;
            var found = await GetAsync(http, $"/api/v1/search?q=common%20group{group}&limit={PageRows}");
            Assert.Equal(Math.Min(Share(rows, Groups, group), PageRows), found.GetProperty("count").GetInt32());
            Assert.All(found.GetProperty("results").EnumerateArray(), result => Assert.Contains($" group{group} ", result.GetProperty("content").GetString(), StringComparison.Ordinal));
        }

        Assert.Equal(50, (await GetAsync(http, "/api/v1/recall?context=common&limit=50")).GetProperty("count").GetInt32());
        Assert.Equal(rows, (await GetAsync(http, "/api/v1/stats")).GetProperty("total").GetInt64());
        Assert.Equal(
            Enumerable.Range(0, Namespaces).Select(number => Share(rows, Namespaces, number)).OrderDescending(),
            (await GetAsync(http, "/api/v1/namespaces")).GetProperty("namespaces").EnumerateArray().Select(entry => entry.GetProperty("count").GetInt32()));

        // 72 bytes of rank inputs a row, the caches, and what a server of this size takes anyway.
        var peak = node.PeakMemoryBytes;
        var bound = (600L << 20) + (rows * 200L);
        TestContext.Current.TestOutputHelper!.WriteLine($"{rows} memories, peak resident memory {peak >> 20} MiB");
        Assert.True(peak < bound, $"peak resident memory is {peak >> 20} MiB, bound {bound >> 20} MiB");
    }

    public void Dispose() => _om.Dispose();

    private static async Task LoadAsync(HttpClient http, int rows)
    {
        for (var first = 0; first < rows; first += BatchRows)
        {
            var batch = Enumerable.Range(first, Math.Min(BatchRows, rows - first)).Select(row => new
            {
                title = $"row {row}",
                content = Content(row),
                @namespace = $"ns/{row % Namespaces}",
                tier = "long",
                priority = 1 + (row % 10),
            });
            using var answer = await http.PostAsJsonAsync("/api/v1/memories/bulk", batch);
            var created = (await answer.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("created").GetInt32();
            Assert.Equal(Math.Min(BatchRows, rows - first), created);
        }
    }

    /// <summary>Every page by cursor; checks order and that no row comes twice.</summary>
    private static async Task<ISet<string>> ListAsync(HttpClient http, string filter, int expected)
    {
        var ids = new HashSet<string>(expected, StringComparer.Ordinal);
        string? cursor = null;
        var last = (Priority: int.MaxValue, UpdatedAt: "~");
        do
        {
            var page = await GetAsync(http, $"/api/v1/memories?limit={PageRows}{filter}{(cursor is null ? "" : $"&cursor={cursor}")}");
            foreach (var memory in page.GetProperty("memories").EnumerateArray())
            {
                var key = (Priority: memory.GetProperty("priority").GetInt32(), UpdatedAt: memory.GetProperty("updated_at").GetString()!);
                Assert.True(key.Priority < last.Priority || (key.Priority == last.Priority && string.CompareOrdinal(Padded(key.UpdatedAt), Padded(last.UpdatedAt)) <= 0));
                last = key;
                Assert.True(ids.Add(memory.GetProperty("id").GetString()!));
            }

            cursor = page.TryGetProperty("next_cursor", out var next) ? next.GetString() : null;
        }
        while (cursor is not null);

        Assert.Equal(expected, ids.Count);
        return ids;
    }

    /// <summary>Timestamps leave trailing zeros of a fraction out; for comparing as text they come back.</summary>
    private static string Padded(string timestamp)
    {
        var end = timestamp.IndexOf('+', StringComparison.Ordinal);
        if (end < 0)
        {
            return timestamp;
        }

        var dot = timestamp.IndexOf('.', StringComparison.Ordinal);
        return dot < 0 ? $"{timestamp[..end]}.000000000" : timestamp[..end].PadRight(dot + 10, '0');
    }

    private static string Content(int row) =>
        string.Create(CultureInfo.InvariantCulture, $"uniq{row} common group{row % Groups} text that a memory of this size would hold, number {row}");

    private static int Share(int rows, int parts, int part) => (rows / parts) + (part < rows % parts ? 1 : 0);

    private static async Task<JsonElement> GetAsync(HttpClient http, string path) => await http.GetFromJsonAsync<JsonElement>(path);
}
