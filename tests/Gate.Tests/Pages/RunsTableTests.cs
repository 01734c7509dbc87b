using OrleansMemory.Gate.Evidence;
using OrleansMemory.Gate.Pages;

namespace OrleansMemory.Gate.Tests.Pages;

public sealed class RunsTableTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("om-runs-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task Every_folder_is_a_row_and_what_is_empty_or_damaged_is_red()
    {
        var sample = new SampleRun();
        await sample.WriteAsync(Path.Combine(_folder, "green"));
        await (sample with { Id = "later", StartedAt = sample.StartedAt.AddDays(1) }).Losing("pause", "c").WriteAsync(Path.Combine(_folder, "red"));
        var changed = await (sample with { StartedAt = sample.StartedAt.AddDays(-1) }).WriteAsync(Path.Combine(_folder, "changed"));
        await File.AppendAllTextAsync(changed.Combine("logs/a.log"), "more\n");
        Directory.CreateDirectory(Path.Combine(_folder, "empty"));
        Directory.CreateDirectory(Path.Combine(_folder, "damaged"));
        await File.WriteAllTextAsync(Path.Combine(_folder, "damaged", EvidenceFolder.PlanName), "{ \"campaign_id\":");

        var page = new ParsedPage(Report.WriteTable(_folder));
        Assert.Equal(["damaged", "empty", "red", "green", "changed"], page.FirstColumn());
        Assert.All((string[])["damaged", "empty"], name => Assert.EndsWith("HARNESS ERROR", page.Rows(name)[0][1], StringComparison.Ordinal));
        Assert.Contains("holds no campaign", page.Rows("empty")[0][2], StringComparison.Ordinal);
        Assert.Contains("campaign.json cannot be read", page.Rows("damaged")[0][2], StringComparison.Ordinal);
        Assert.Contains("logs/a.log was changed", page.Rows("changed")[0][1], StringComparison.Ordinal);
        Assert.Contains("HARNESS ERROR", page.Rows("changed")[0][1], StringComparison.Ordinal);
        Assert.Contains("FAIL", page.Rows("red")[0][1], StringComparison.Ordinal);
        Assert.EndsWith("FAIL", page.Rows("red")[0][5], StringComparison.Ordinal);
        Assert.Equal(["236", "0", "2026-11-20 08:02", "2 min 20 s", "0123456789", "3 named peers", "quick"], page.Rows("green")[0].Skip(7));
        Assert.Contains("5 runs: 1 green, 4 red.", page.Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_table_is_written_with_a_run_where_there_are_only_runs()
    {
        var runs = Path.Combine(_folder, "runs");
        await new SampleRun().WriteAsync(Path.Combine(runs, "one"));
        await new SampleRun().WriteAsync(Path.Combine(_folder, "mixed", "one"));
        Directory.CreateDirectory(Path.Combine(_folder, "mixed", "src", "sub"));

        Assert.Equal([Path.Combine(runs, "one", "index.html"), Path.Combine(runs, "index.html")], Report.Write(Path.Combine(runs, "one")));
        Assert.Equal([Path.Combine(runs, "index.html")], Report.Write(runs));
        Assert.Equal([Path.Combine(_folder, "mixed", "one", "index.html")], Report.Write(Path.Combine(_folder, "mixed", "one")));
        Assert.Contains(new ParsedPage(Path.Combine(runs, "one", "index.html")).Elements("a"), static link => (string?)link.Attribute("href") == "../index.html");
        Assert.Empty(Verifier.Verify(Path.Combine(runs, "one")).Problems);
    }

    [Fact]
    public async Task A_page_of_somebody_else_is_left_alone()
    {
        var page = Path.Combine(_folder, "index.html");
        await File.WriteAllTextAsync(page, "<p>mine</p>");
        await new SampleRun().WriteAsync(Path.Combine(_folder, "one"));
        Assert.Single(Report.Write(Path.Combine(_folder, "one")));
        Assert.Throws<GateException>(() => Report.WriteTable(_folder));
        Assert.Equal("<p>mine</p>", await File.ReadAllTextAsync(page));
    }

    [Fact]
    public void Where_there_is_no_run_it_says_so()
    {
        Assert.Throws<GateException>(() => Report.Write(Path.Combine(_folder, "nowhere")));
        Assert.Throws<GateException>(() => Report.WriteTable(Path.Combine(_folder, "nowhere")));
        Assert.Throws<GateException>(() => Report.Write(_folder));
    }
}
