namespace OrleansMemory.Cli.Tests;

public sealed class BenchTests : IDisposable
{
    private readonly Om _om = new();

    [Fact]
    public async Task Writes_are_measured_on_a_fresh_node_that_is_gone_afterwards()
    {
        var outcome = (await _om.RunAsync("bench", "writes", "--connections", "4", "--requests", "40", "--warmup-secs", "0", "--rows", "10", "--data", ".", "--json")).Exits(0);
        var report = outcome.Json;
        Assert.Equal("closed", report.GetProperty("loop").GetString());
        Assert.Equal(40, report.GetProperty("requests").GetInt32());
        Assert.Equal(40, report.GetProperty("ok").GetInt32());
        Assert.Equal("{}", report.GetProperty("errors").GetRawText());
        var latency = report.GetProperty("latency_ms");
        Assert.True(latency.GetProperty("p50").GetDouble() > 0);
        Assert.True(latency.GetProperty("p99").GetDouble() <= latency.GetProperty("max").GetDouble());
        Assert.True(report.GetProperty("node").GetProperty("cpu_seconds").GetDouble() > 0);
        Assert.True(report.GetProperty("node").GetProperty("peak_rss_bytes").GetInt64() > 1_000_000);
        Assert.True(report.GetProperty("generator").GetProperty("cpu_seconds").GetDouble() > 0);
        Assert.True(report.GetProperty("machine").GetProperty("fsync_ms_p50").GetDouble() >= 0);
        Assert.Empty(Directory.GetDirectories(_om.Folder, "om-bench-*"));
    }

    [Fact]
    public async Task Requests_at_a_rate_go_to_the_node_at_url()
    {
        await using var node = await _om.ServeAsync();
        var report = (await _om.RunAsync("bench", "writes", "--connections", "2", "--rate", "100", "--seconds", "0.5", "--warmup-secs", "0", "--json", "--url", node.Url)).Exits(0).Json;
        Assert.Equal("open", report.GetProperty("loop").GetString());
        Assert.Equal(50, report.GetProperty("requests").GetInt32());
        Assert.False(report.TryGetProperty("node", out _));
        Assert.Equal(50, (await _om.RunAsync("stats", "--json", "--url", node.Url)).Exits(0).Json.GetProperty("total").GetInt32());
    }

    [Fact]
    public async Task Recall_is_told_apart_by_class()
    {
        var outcome = (await _om.RunAsync("bench", "recall", "--connections", "2", "--requests", "50", "--warmup-secs", "0", "--rows", "2000", "--data", ".", "--json")).Exits(0);
        Assert.Equal("{}", outcome.Json.GetProperty("errors").GetRawText());
        Assert.Equal(2_000, outcome.Json.GetProperty("rows_before").GetInt32());
        var classes = outcome.Json.GetProperty("by_class").EnumerateObject().ToList();
        Assert.Equal(["1 rare", "1 common", "2 mixed", "3 mixed", "4 mixed"], classes.Select(entry => entry.Name));
        Assert.All(classes, entry => Assert.Equal(10, entry.Value.GetProperty("count").GetInt32()));

        // With vectors: none of the memories is without one before it is measured.
        var hybrid = (await _om.RunAsync("bench", "recall", "--connections", "1", "--requests", "20", "--warmup-secs", "0", "--rows", "300", "--vectors", "16", "--data", ".", "--json")).Exits(0).Json;
        Assert.Equal((20, 16, "memory"), (hybrid.GetProperty("ok").GetInt32(), hybrid.GetProperty("vector_dim").GetInt32(), hybrid.GetProperty("vectors").GetString()));
        (await _om.RunAsync("bench", "recall", "--vectors", "16", "--vectors-in", "database")).Exits(2);
    }

    [Fact]
    public async Task Recall_is_judged_by_the_evidence_of_questions()
    {
        const string Talk = """
            [{"sample_id":"talk-1","conversation":{"speaker_a":"Anna","speaker_b":"Ben","session_1_date_time":"1:56 pm on 8 May, 2023","session_1":[
              {"speaker":"Anna","dia_id":"D1:1","text":"We were in Lisbon for the summer."},
              {"speaker":"Ben","dia_id":"D1:2","text":"How was the food?","blip_caption":"a plate of sardines"},
              {"speaker":"Anna","dia_id":"D1:3","text":"Grilled, every day."}]},
              "qa":[{"question":"Where did Anna spend summers?","answer":"?","evidence":["D1:1"],"category":4},
                    {"question":"What sardines did Ben show?","answer":"?","evidence":["D1:2; D1:3"],"category":1},
                    {"question":"Unanswerable?","adversarial_answer":"?","evidence":["D1:1"],"category":5},
                    {"question":"No evidence?","answer":"?","evidence":[],"category":2}]}]
            """;
        await File.WriteAllTextAsync(_om.PathTo("talk.json"), Talk, TestContext.Current.CancellationToken);
        var report = (await _om.RunAsync("bench", "locomo", "--data", "talk.json", "--json")).Exits(0).Json;
        Assert.Equal((2, 3), (report.GetProperty("questions").GetInt32(), report.GetProperty("memories").GetInt32()));
        Assert.Equal(1, report.GetProperty("overall").GetProperty("any@1").GetDouble());

        // One turn of the evidence holds no word of its question: recall never shows it.
        Assert.Equal(0.5, report.GetProperty("overall").GetProperty("all@10").GetDouble());
        Assert.Equal(0, report.GetProperty("by_category").GetProperty("1").GetProperty("all@1").GetDouble());
        Assert.Equal(1, report.GetProperty("by_category").GetProperty("4").GetProperty("any@20").GetDouble());
        Assert.Equal(2, report.GetProperty("plain_bm25").GetProperty("overall").GetProperty("questions").GetInt32());
        Assert.Contains("plain BM25", (await _om.RunAsync("bench", "locomo", "--data", "talk.json")).Exits(0).Output, StringComparison.Ordinal);

        await File.WriteAllTextAsync(_om.PathTo("other.json"), "{}", TestContext.Current.CancellationToken);
        Assert.Contains("not a file of LoCoMo conversations", (await _om.RunAsync("bench", "locomo", "--data", "other.json")).Exits(1).Error, StringComparison.Ordinal);
        Assert.Contains("cannot be read", (await _om.RunAsync("bench", "locomo", "--data", "none.json")).Exits(1).Error, StringComparison.Ordinal);
        (await _om.RunAsync("bench", "locomo")).Exits(2);
    }

    [Fact]
    public async Task A_text_report_names_the_machine()
    {
        var text = (await _om.RunAsync("bench", "writes", "--connections", "2", "--requests", "10", "--warmup-secs", "0", "--data", ".")).Exits(0).Output;
        Assert.Contains("closed loop", text, StringComparison.Ordinal);
        Assert.Contains("fsync p50", text, StringComparison.Ordinal);
        (await _om.RunAsync("bench", "everything")).Exits(2);
        Assert.Contains("plain http only", (await _om.RunAsync("bench", "writes", "--url", "https://127.0.0.1:1")).Exits(1).Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_cluster_is_measured_with_the_usage_of_each_node()
    {
        var report = (await _om.RunAsync("bench", "writes", "--nodes", "3", "--quorum", "2", "--connections", "6", "--requests", "60", "--warmup-secs", "0", "--data", ".", "--json")).Exits(0).Json;
        Assert.Equal(60, report.GetProperty("ok").GetInt32());
        Assert.Equal(2, report.GetProperty("quorum_writes").GetInt32());
        var nodes = report.GetProperty("nodes").EnumerateArray().ToList();
        Assert.Equal(["n1", "n2", "n3"], nodes.Select(node => node.GetProperty("name").GetString()));
        Assert.All(nodes, node => Assert.True(node.GetProperty("cpu_seconds").GetDouble() > 0));
        Assert.All(nodes, node => Assert.True(node.GetProperty("peak_rss_bytes").GetInt64() > 1_000_000));
        Assert.Empty(Directory.GetDirectories(_om.Folder, "om-bench-*"));
    }

    [Fact]
    public async Task Convergence_and_catching_up_are_measured()
    {
        string[] arguments = ["--connections", "3", "--rate", "100", "--seconds", "1", "--warmup-secs", "0", "--catch-up", "500", "--data", ".", "--json"];
        var report = (await _om.RunAsync(["bench", "convergence", .. arguments])).Exits(0).Json;
        Assert.Equal("open", report.GetProperty("loop").GetString());
        Assert.Equal(report.GetProperty("ok").GetInt32(), report.GetProperty("convergence_ms").GetProperty("count").GetInt32());
        Assert.Equal(0, report.GetProperty("not_converged").GetInt32());
        Assert.Equal(500, report.GetProperty("catch_up").GetProperty("rows").GetInt32());
        Assert.True(report.GetProperty("catch_up").GetProperty("rows_per_second").GetDouble() > 0);
    }

    [Fact]
    public async Task A_start_with_every_backfill_pending_is_measured()
    {
        // Whether the limits hold is for a machine that does nothing else; here only that the run is whole.
        var outcome = await _om.RunAsync("bench", "backfill", "--rows", "3000", "--rate", "50", "--seconds", "1", "--data", ".", "--json");
        Assert.InRange(outcome.ExitCode, 0, 1);
        var report = outcome.Json;
        Assert.Equal((3_000, 0), (report.GetProperty("rows").GetInt32(), report.GetProperty("failed").GetInt32()));
        Assert.True(report.GetProperty("ready_seconds").GetDouble() > 0);
        Assert.True(report.GetProperty("livez_ms").GetProperty("count").GetInt32() > 0);
        Assert.True(report.GetProperty("writes_meanwhile_ms").GetProperty("count").GetInt32() > 0);
        Assert.True(report.GetProperty("writes_afterwards_ms").GetProperty("count").GetInt32() > 0);
        (await _om.RunAsync("bench", "backfill", "--nodes", "3")).Exits(2);
        Assert.Empty(Directory.GetDirectories(_om.Folder, "om-bench-*"));
    }

    public void Dispose() => _om.Dispose();
}
