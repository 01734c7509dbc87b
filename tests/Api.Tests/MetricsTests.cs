using System.Globalization;
using System.Text.RegularExpressions;

namespace OrleansMemory.Api.Tests;

public sealed partial class MetricsTests(TestNode node) : IClassFixture<TestNode>
{
    [GeneratedRegex("""^(?<name>[a-zA-Z_:][a-zA-Z0-9_:]*)(\{(?<labels>[a-zA-Z_][a-zA-Z0-9_]*="([^"\\\n]|\\[\\"n])*"(,[a-zA-Z_][a-zA-Z0-9_]*="([^"\\\n]|\\[\\"n])*")*)\})? (?<value>\S+)$""", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Sample();

    [Fact]
    public async Task Metrics_parse_and_tell_what_happened()
    {
        await node.StoreAsync("measured");
        (await node.PostAsync("/api/v1/memories", """{"title":" ","content":"c"}""")).ShouldFail(400, "title_empty");
        foreach (var path in (string[])["/metrics", "/api/v1/metrics"])
        {
            var reply = await node.GetAsync(path);
            Assert.Equal(200, reply.Status);
            Assert.Equal("text/plain; version=0.0.4; charset=utf-8", reply.ContentType);

            var types = new Dictionary<string, string>();
            var samples = new Dictionary<string, double>();
            foreach (var line in reply.Text.Split('\n', StringSplitOptions.RemoveEmptyEntries))
            {
                if (line.StartsWith("# TYPE ", StringComparison.Ordinal))
                {
                    var words = line.Split(' ');
                    types.Add(words[2], words[3]);
                }
                else if (!line.StartsWith("# HELP ", StringComparison.Ordinal))
                {
                    var sample = Sample().Match(line);
                    Assert.True(sample.Success, line);
                    samples.Add($"{sample.Groups["name"]}{{{sample.Groups["labels"]}}}", double.Parse(sample.Groups["value"].Value, CultureInfo.InvariantCulture));
                    Assert.Contains(types.Keys, name => sample.Groups["name"].Value.StartsWith(name, StringComparison.Ordinal));
                }
            }

            Assert.Equal("gauge", types["ai_memory_memories"]);
            Assert.True(samples["ai_memory_memories{}"] >= 1);
            Assert.Equal("counter", types["ai_memory_store_total"]);
            Assert.True(samples["""ai_memory_store_total{tier="mid",result="ok"}"""] >= 1);
            Assert.True(samples["""ai_memory_store_total{tier="mid",result="err"}"""] >= 1);
            Assert.Equal("histogram", types["ai_memory_recall_latency_seconds"]);
            Assert.Equal("counter", types["process_cpu_seconds_total"]);
            Assert.True(samples["process_resident_memory_bytes{}"] > 1_000_000);

            const string Route = "route=\"/api/v1/memories\",status=\"2xx\"";
            var count = samples[$"ai_memory_request_duration_seconds_count{{{Route}}}"];
            Assert.True(count >= 1);
            Assert.Equal(count, samples[$"ai_memory_request_duration_seconds_bucket{{{Route},le=\"+Inf\"}}"]);
            string[] bounds = ["0.0005", "0.001", "0.0025", "0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "+Inf"];
            var buckets = bounds.Select(bound => samples[$"ai_memory_request_duration_seconds_bucket{{{Route},le=\"{bound}\"}}"]).ToList();
            Assert.Equal(buckets.Order(), buckets);
        }
    }
}
