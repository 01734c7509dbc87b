using System.Collections.Concurrent;
using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using OrleansMemory.Compliance;
using OrleansMemory.Core;
using OrleansMemory.Storage.Sqlite;

namespace OrleansMemory.Cli.Tests;

/// <summary>A node that is killed while it answers: what it answered is there, and nothing is half there.</summary>
public sealed class CrashTests : IDisposable
{
    private const int Writers = 16;

    private readonly Om _om = new();

    [Fact]
    [Trait(Campaign.Trait, "crash")]
    public async Task What_a_killed_node_answered_is_there_after_every_restart()
    {
        var kills = Campaign.Count("crash", reduced: 8, full: 50);
        var random = new Random(11);
        var ledger = new Ledger();
        var path = _om.PathTo("crash.db");
        for (var kill = 0; kill < kills; kill++)
        {
            var before = ledger.Answered;
            await using (var node = await _om.ServeAsync("--db", path, "--node-id", "n"))
            {
                using var http = new HttpClient { BaseAddress = new Uri(node.Url), Timeout = TimeSpan.FromSeconds(30) };
                var writers = Enumerable.Range(0, Writers).Select(writer => WriteAsync(http, ledger, writer, new Random((kill * Writers) + writer))).ToArray();

                // From some answer on, the kill comes within 20 ms.
                var target = before + random.Next(100, 600);
                await ledger.ReachAsync(target);
                await Task.Delay(random.Next(0, 21));
                await node.KillAsync();
                await Task.WhenAll(writers);
            }

            await CheckAsync(path, ledger, kill);
        }

        TestContext.Current.TestOutputHelper!.WriteLine($"{kills} kills, {ledger.Answered} answered writes, {ledger.Unanswered} unanswered, 0 lost");
        Assert.True(ledger.Answered >= kills * 100);
        Assert.True(ledger.Unanswered > 0, "no write was in flight at any kill");
    }

    public void Dispose() => _om.Dispose();

    /// <summary>Creates, changes and deletes memories of its own until the node goes away.</summary>
    private static async Task WriteAsync(HttpClient http, Ledger ledger, int writer, Random random)
    {
        var own = new List<string>();
        for (var number = 0; ; number++)
        {
            var content = $"v-{writer}-{random.Next()}-{number} " + new string((char)('a' + writer), random.Next(20, 1_500));
            var id = own.Count > 0 && random.Next(3) == 0 ? own[random.Next(own.Count)] : null;
            try
            {
                if (id is null)
                {
                    var title = $"{writer}-{Guid.NewGuid()}";
                    ledger.Begin(title, content);
                    using var answer = await http.PostAsJsonAsync("/api/v1/memories", new { title, content, @namespace = "crash", tier = "long" });
                    Assert.Equal(HttpStatusCode.Created, answer.StatusCode);
                    id = (await answer.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("id").GetString()!;
                    ledger.Named(id, title);
                    ledger.End(title, content);
                    own.Add(id);
                }
                else if (random.Next(2) == 0)
                {
                    ledger.Begin(ledger.TitleOf(id), content);
                    using var answer = await http.PutAsJsonAsync($"/api/v1/memories/{id}", new { content });
                    Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
                    ledger.End(ledger.TitleOf(id), content);
                }
                else
                {
                    own.Remove(id);
                    ledger.Begin(ledger.TitleOf(id), null);
                    using var answer = await http.DeleteAsync($"/api/v1/memories/{id}");
                    Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
                    ledger.End(ledger.TitleOf(id), null);
                }
            }
            catch (HttpRequestException)
            {
                return;
            }
        }
    }

    private static async Task CheckAsync(string path, Ledger ledger, int kill)
    {
        await using var store = SqliteStore.Open(path);
        Assert.Empty((await store.VerifyAsync()).Differences);
        await using var node = await MemoryNode.StartAsync(store, new NodeSettings(), TimeProvider.System, new Random());
        var found = new Dictionary<string, string>();
        await foreach (var memory in node.ExportMemoriesAsync())
        {
            found.Add(memory.Title, memory.Content);
        }

        foreach (var (title, expected) in ledger.Expected)
        {
            var content = found.GetValueOrDefault(title);
            Assert.True(
                expected.Contains(content),
                $"after kill {kill}: {title} holds {content ?? "nothing"}; answered or in flight were {string.Join(" | ", expected.Select(value => value ?? "nothing"))}");
            ledger.Settle(title, content);
        }

        Assert.All(found.Keys, title => Assert.True(ledger.Expected.ContainsKey(title), $"after kill {kill}: nobody wrote {title}"));
    }

    /// <summary>What each title may hold: the last answered content, and those in flight when the node went away.</summary>
    private sealed class Ledger
    {
        private readonly ConcurrentDictionary<string, List<string?>> _expected = new();
        private readonly ConcurrentDictionary<string, string> _titles = new();
        private TaskCompletionSource _reached = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private int _target = int.MaxValue;
        private int _answered;
        private int _begun;

        public int Answered => Volatile.Read(ref _answered);

        public int Unanswered => Volatile.Read(ref _begun) - Answered;

        public IReadOnlyDictionary<string, List<string?>> Expected => _expected;

        public void Begin(string title, string? content)
        {
            Interlocked.Increment(ref _begun);
            _expected.GetOrAdd(title, static _ => [null]).Add(content);
        }

        public void End(string title, string? content)
        {
            Settle(title, content);
            if (Interlocked.Increment(ref _answered) >= Volatile.Read(ref _target))
            {
                _reached.TrySetResult();
            }
        }

        public void Settle(string title, string? content) => _expected[title] = [content];

        public void Named(string id, string title) => _titles[id] = title;

        public string TitleOf(string id) => _titles[id];

        public Task ReachAsync(int answered)
        {
            _reached = new(TaskCreationOptions.RunContinuationsAsynchronously);
            Volatile.Write(ref _target, answered);
            return _reached.Task.WaitAsync(TimeSpan.FromSeconds(60));
        }
    }
}
