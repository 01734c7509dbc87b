using System.Text.Json;
using System.Text.Json.Nodes;
using OrleansMemory.Gate.Campaigns;
using OrleansMemory.Gate.Evidence;
using OrleansMemory.Gate.Verdicts;

namespace OrleansMemory.Gate.Pages;

/// <summary>The page of a run, in one file.</summary>
/// <param name="hasTable">There is a table of runs in the folder above.</param>
internal sealed class RunPage(RunFolder run, Insights? insights, bool hasTable)
{
    /// <summary>A list of files longer than this is folded.</summary>
    private const int ShownFiles = 12;

    private const int ShownHash = 12;

    public string Write()
    {
        var crumb = Html.Of($"""{(hasTable ? Html.Of($"""<a href="../index.html">All runs</a>""") : Html.Of($"Runs"))} / {run.CampaignId}""");
        return Layout.Document($"{Layout.Word(run.Verdict)}: campaign {run.CampaignId}", crumb, Html.Of($"""
            {Head()}
            {Focus()}
            {(run.Conclusion is null ? Html.Empty : Html.Each(Declaration.AllPhases, Phase))}
            {Canaries()}
            {Bugs()}
            {Artifacts()}
            """));
    }

    private Html Head() => Html.Of($"""
        <h1>Campaign {run.CampaignId} {Layout.Badge(run.Verdict)}</h1>
        {(insights?.Headline is { } headline ? Html.Of($"""<p class="lead">{headline}</p>""") : Html.Empty)}
        {Layout.Problems("The evidence of this run does not verify. Nothing below can be relied on.", run.Problems)}
        {Certifies()}
        {(run.Conclusion is null ? Html.Empty : Html.Of($"""
        <ul class="marks">{Html.Each(Declaration.AllPhases, phase => Html.Of($"""<li><a href="#phase{phase}">Phase {phase}</a> {Layout.Badge(run.Status(phase))}</li>"""))}{(run.Summary!.Canaries.Count == 0 ? Html.Empty : Html.Of($"""<li><a href="#canaries">Canaries</a> {CanaryMark()}</li>"""))}</ul>
        """))}
        {Facts()}
        """);

    private Html Certifies() => run switch
    {
        { Certifies: true } => Html.Of($"<p><strong>Certifies a release:</strong> yes.</p>"),
        { NotCertifiedBecause: [var only] } => Html.Of($"<p><strong>Certifies a release:</strong> no, because {only}.</p>"),
        _ => Html.Of($"""<p><strong>Certifies a release:</strong> no, because</p><ul class="cases">{Html.Each(run.NotCertifiedBecause, static reason => Html.Of($"<li>{reason}</li>"))}</ul>"""),
    };

    private Html CanaryMark()
    {
        var worst = Evaluator.Worst(run.Summary!.Canaries.Where(static canary => canary.Verdict != Verdict.NotRun).Select(static canary => canary.Verdict).DefaultIfEmpty(Verdict.NotRun));
        return Layout.Badge(worst);
    }

    private Html Facts()
    {
        if (run is not { Plan: { } plan, Summary: { } summary })
        {
            return Html.Empty;
        }

        var machine = plan.Machine;
        var commit = plan.Build.Commit is { } named ? Html.Of($"<code>{named}</code>{(plan.Build.Dirty is false ? "" : " with changes")}") : Html.Of($"unknown");
        (string Name, Html Value)[] facts =
        [
            ("Version", Html.Of($"{plan.Build.Version}")),
            ("Commit", commit),
            ("Nodes", Html.Of($"{Narrative.NodesOf(plan.Scope)}: {string.Join(", ", plan.Scope.Names)}")),
            ("Mode", Html.Of($"{plan.Scope.Mode}")),
            ("Started", Layout.Instant(plan.StartedAt)),
            ("Completed", Layout.Instant(summary.CompletedAt)),
            ("Duration", Html.Of($"{Layout.Duration(run.Duration)}")),
            ("Acknowledged writes", Html.Of($"{summary.Acked:N0}")),
            ("Lost", Html.Of($"{LostOf(run)}")),
            ("Machine", Html.Of($"{machine.System}, {machine.Runtime}, {Layout.Plural(machine.Processors, "processor")}, {Layout.Bytes(machine.MemoryBytes)}")),
        ];
        return Html.Of($"""
            <dl class="facts">{Html.Each(facts, static fact => Html.Of($"<div><dt>{fact.Name}</dt><dd>{fact.Value}</dd></div>"))}</dl>
            <details><summary>Binaries that were tested: {Layout.Plural(plan.Build.Binaries.Count, "file")}</summary>
            {Layout.Table("Binaries", ["File", "SHA-256"], Html.Each(plan.Build.Binaries.OrderBy(static binary => binary.Key, StringComparer.Ordinal), static binary => Html.Of($"<tr><td>{binary.Key}</td><td><code>{binary.Value}</code></td></tr>\n")))}</details>
            """);
    }

    /// <summary>Zero only where it was looked for.</summary>
    public static string LostOf(RunFolder run)
    {
        var judged = run.Assertions.Where(static assertion => assertion.Id.EndsWith(".lost", StringComparison.Ordinal)).ToList();
        return run.Summary is null || judged.Count == 0 || judged.TrueForAll(static assertion => assertion.Actual is null) ? "unknown"
            : judged.Exists(static assertion => assertion.Actual is null) ? $"{run.Summary.Lost:N0} known"
            : $"{run.Summary.Lost:N0}";
    }

    private Html Focus()
    {
        var narratives = Narrative.Of(run);
        string?[] notes = [insights?.Notes.Users, insights?.Notes.Deciders, insights?.Notes.Engineers];
        return narratives.Count == 0 ? Html.Empty : Html.Of($"""
            <h2>What it set out to test, and what it showed</h2>
            <div class="cards">{Html.Each(narratives.Zip(notes), static pair => Html.Of($"""
            <section class="card"><h3>{pair.First.Reader}</h3>
            <h4>Set out to test</h4><p>{pair.First.SetOut}</p>
            <h4>Showed</h4><p>{pair.First.Showed}</p>
            {(pair.Second is { } note ? Html.Of($"<h4>Note</h4><p>{note}</p>") : Html.Empty)}</section>
            """))}</div>
            """);
    }

    private Html Phase(int number)
    {
        var status = run.Status(number);
        if (run.Phase(number) is not { } phase)
        {
            var undeclared = Declaration.Of(run.Plan!.Scope with { Phases = [number] })[0];
            return Html.Of($"""
                <section><h2 id="phase{number}">Phase {number}: {undeclared.Title} {Layout.Badge(status)}</h2>
                <p>{undeclared.Purpose}</p>
                <p class="quiet">It is no part of this campaign.</p></section>

                """);
        }

        var document = phase.Documents[$"{Declaration.PhaseName(number)}.json"];
        return Html.Of($"""
            <section><h2 id="phase{number}">Phase {number}: {phase.Plan.Title} {Layout.Badge(status)}</h2>
            <p>{phase.Plan.Purpose}</p>
            <p class="quiet">{Course(document)}{Counted(phase.Assertions)}</p>
            {(number == 4 ? Chaos(phase, document) : Html.Of($"{Assertions($"Assertions of phase {number}", phase.Assertions)}{Html.Each(phase.Documents.Values, Cases)}"))}
            {Html.Each(phase.Documents.OrderBy(static pair => pair.Key, StringComparer.Ordinal), pair => Layout.Json(pair.Key, pair.Value, File.Exists(Path.Combine(run.Path, pair.Key))))}</section>

            """);
    }

    /// <summary>When it ran and how it ended.</summary>
    private static Html Course(JsonObject document)
    {
        if (document["started_at"] is not { } started || document["ended_at"] is not { } ended)
        {
            return Html.Of($"The campaign ended before it. ");
        }

        var end = (string?)document["end"];
        var (from, to) = (started.Deserialize<DateTimeOffset>(), ended.Deserialize<DateTimeOffset>());
        return Html.Of($"""From {Layout.Instant(from)}, for {Layout.Duration(to - from)}. {(end == PhaseEnds.Completed ? Html.Empty : Html.Of($"<strong>It {end switch { PhaseEnds.TimedOut => "timed out", PhaseEnds.Interrupted => "was interrupted", _ => "ended in an error" }}: {(string?)document["error"]}.</strong> "))}""");
    }

    private static Html Counted(IReadOnlyList<Assertion> assertions) => Html.Of($"{assertions.Count(static assertion => assertion.Verdict == Verdict.Pass)} of {Layout.Plural(assertions.Count, "assertion")} passed.");

    private Html Chaos(PhaseResult phase, JsonObject document)
    {
        var scope = run.Plan!.Scope;
        var figures = run.Faults.ToDictionary(static fault => fault.Fault);
        var documents = document["faults"] is JsonArray array ? array.OfType<JsonObject>().ToDictionary(static fault => (string)fault["fault"]!) : [];
        var classes = scope.Faults.Select(fault => new FaultClass(fault, [.. phase.Assertions.Where(assertion => assertion.Id.StartsWith($"phase4.{fault}.", StringComparison.Ordinal))], figures.GetValueOrDefault(fault))).ToList();
        var others = phase.Assertions.Except(classes.SelectMany(static each => each.Assertions)).ToList();
        return Html.Of($"""
            {Layout.Table("Fault classes", ["Fault class", "Verdict", "Cycles\t", "Acked\t", "Lost\t", "Bound\t", "p50\t", "p95\t", "p99\t", "Max\t", "Acked/s\t"], Html.Each(classes, Row))}
            <p class="quiet">Bound: the least share of acknowledged memories that a node holds after a cycle. p50 to max: time to converge.</p>
            {(scope.LeftOut.Count == 0 ? Html.Empty : Html.Of($"""
            <h3>Fault classes left out</h3>
            {Layout.Table("Fault classes left out", ["Fault class", "Reason"], Html.Each(scope.LeftOut, static each => Html.Of($"""<tr><th scope="row"><code>{each.Key}</code></th><td>{each.Value}</td></tr>""")))}
            """))}
            {Charts.Converge(run.Faults)}
            {Charts.Throughput(run.Faults)}
            <h3>Assertions by fault class</h3>
            {Html.Each(classes, each => Html.Of($"""
            <details class="class" id="fault-{each.Fault}"{Layout.Open(each.Verdict != Verdict.Pass)}><summary><code>{each.Fault}</code> {Layout.Badge(each.Verdict)} <span class="quiet">{Counted(each.Assertions)}{Further(each.Figures)}</span></summary>
            {Assertions($"Assertions of {each.Fault}", each.Assertions)}{(documents.GetValueOrDefault(each.Fault) is { } told ? Cases(told) : Html.Empty)}</details>

            """))}
            {(others.Count == 0 ? Html.Empty : Assertions("Assertions of no fault class", others))}
            """);
    }

    private static Html Row(FaultClass each)
    {
        var times = each.Figures?.ConvergeMs;
        Html Time(decimal? value) => Html.Of($"""<td class="number">{(value is { } milliseconds ? Layout.Milliseconds(milliseconds) : "\u2013")}</td>""");
        Html Seen(string name) => Html.Of($"""<td class="number">{(each.Actual(name) is { } actual ? Shown(actual) : "\u2013")}</td>""");
        return Html.Of($"""
            <tr{Layout.Redden(each.Verdict)}><th scope="row"><a href="#fault-{each.Fault}"><code>{each.Fault}</code></a></th><td>{Layout.Badge(each.Verdict)}</td>{Seen("cycles")}{Seen("acked")}{Seen("lost")}{Seen("bound")}{Time(times?.P50)}{Time(times?.P95)}{Time(times?.P99)}{Time(times?.Max)}<td class="number">{(each.Figures is { } figures ? $"{figures.AckedPerSecond:N1}" : "\u2013")}</td></tr>

            """);
    }

    /// <summary>What became of all writes, and how many cycles had to be run again.</summary>
    private static string Further(FaultFigures? figures) => figures is null ? ""
        : $" Writes: {string.Join(", ", figures.Outcomes.Select(static outcome => $"{outcome.Value:N0} {outcome.Key.Replace('_', ' ')}"))}."
            + (figures.RepeatedCycles is > 0 and var repeated ? $" {Layout.Plural(repeated, "cycle")} run again, as the fault met no write." : "");

    private static Html Assertions(string label, IReadOnlyList<Assertion> assertions) =>
        Layout.Table(label, ["Assertion", "What must hold", "Expected", "Observed", "Sample\t", "Verdict"], Html.Each(assertions, static assertion => Html.Of($"""
            <tr{Layout.Redden(assertion.Verdict)}><td class="id">{Layout.Id(assertion.Id)}</td><td class="what">{assertion.Description}{(assertion.Reason is { } reason ? Html.Of($"<br/><strong>{reason}</strong>") : Html.Empty)}</td><td class="once">{(assertion.Expected is { } expected ? $"{assertion.Op} {Shown(expected)}" : "\u2013")}</td><td class="once">{(assertion.Actual is { } actual ? Shown(actual) : "\u2013")}</td><td class="number">{assertion.SampleSize:N0} of {assertion.MinSample:N0}</td><td>{Layout.Badge(assertion.Verdict)}</td></tr>

            """)));

    /// <summary>The cases that a document names: which write was lost on which node.</summary>
    private static Html Cases(JsonObject document) => Html.Each(
        document.Where(static pair => pair.Key != "reasons" && pair.Value is JsonArray { Count: > 0 } array && array.All(static each => each?.GetValueKind() == JsonValueKind.String)),
        static pair => Html.Of($"""
            <details open=""><summary>Cases: {pair.Key.Replace('_', ' ')}</summary><ul class="cases">{Html.Each((JsonArray)pair.Value!, static text => Html.Of($"<li>{(string?)text}</li>"))}</ul></details>

            """));

    private Html Canaries() => run.Summary is not { Canaries: { Count: > 0 } canaries } ? Html.Empty : Html.Of($"""
        <section><h2 id="canaries">Canaries {CanaryMark()}</h2>
        <p>Each is the same gate against something that is broken on purpose. It must come out red at the named assertion, and where nothing is broken green; PASS here says that it did.</p>
        {Layout.Table("Canaries", ["Canary", "What is broken", "Had to come out", "Came out", "Verdict"], Html.Each(canaries, canary => Html.Of($"""
        <tr{Layout.Redden(canary.Verdict)}><th scope="row">{(File.Exists(Path.Combine(run.Path, CanarySummary(canary))) ? Html.Of($"""<a href="{Layout.Href(CanarySummary(canary))}">{canary.Name}</a>""") : Html.Of($"{canary.Name}"))}</th><td class="what">{canary.Broken}</td><td class="id">{Layout.Id(canary.Assertion)} {Layout.Word(canary.Expected)}</td><td class="what">{CameOut(canary)}</td><td>{Layout.Badge(canary.Verdict)}</td></tr>

        """)))}</section>
        """);

    private static string CanarySummary(CanaryOutcome canary) => $"{EvidenceFolder.CanariesFolder}/{canary.Name}/{EvidenceFolder.SummaryName}";

    private static Html CameOut(CanaryOutcome canary) => Html.Of($"""
        {(canary.Seen is { } seen ? Html.Of($"{Layout.Word(seen.Verdict)}{(seen.Reason is { } why ? $": {why}" : "")}") : Html.Empty)}{(canary.Reason is { } reason ? Html.Of($"{(canary.Seen is null ? Html.Empty : Html.Of($"<br/>"))}<strong>{reason}</strong>") : Html.Empty)}
        """);

    private Html Bugs() => insights is null ? Html.Empty : Html.Of($"""
        {(insights.Bugs.Count == 0 ? Html.Empty : Html.Of($"""
        <section><h2 id="bugs">Bugs and fixes</h2>
        {Html.Each(insights.Bugs, static bug => Html.Of($"""
        <article class="card"><h3>{bug.Title}</h3>
        <p><strong>Impact:</strong> {bug.Impact}</p>
        <p><strong>Root cause</strong> ({(bug.Status == InsightStatus.Reproduced ? "reproduced" : "a hypothesis")}): {bug.RootCause}</p>
        <p><strong>Fixed in:</strong> {(bug.FixedIn.Count == 0 ? Html.Of($"nothing yet") : Html.Each(bug.FixedIn, static link => Html.Of($"""<a href="{link.Url}">{link.Label}</a> """)))}</p></article>

        """))}</section>
        """))}
        {(insights.WhatChanged is { } changed ? Html.Of($"""<section><h2>What changed before the next run</h2><p>{changed}</p></section>""") : Html.Empty)}
        """);

    private Html Artifacts()
    {
        var folder = new EvidenceFolder(run.Path);
        EvidenceManifest manifest;
        var told = $"As listed in {EvidenceFolder.ManifestName}.";
        try
        {
            manifest = folder.Read<EvidenceManifest>(EvidenceFolder.ManifestName);
        }
        catch (InvalidDataException)
        {
            manifest = EvidenceManifest.Of(folder);
            told = $"{EvidenceFolder.ManifestName} cannot be read: these are the files that are there, and nothing shows that they are what the campaign wrote.";
        }

        var groups = manifest.Files.GroupBy(static file => file.Path.Contains('/') ? file.Path[..file.Path.IndexOf('/')] : "").OrderBy(static group => group.Key, StringComparer.Ordinal);
        return Html.Of($"""
            <section><h2 id="artifacts">All artifacts</h2>
            <p class="quiet">{told} {Layout.Plural(manifest.Files.Count, "file")}, {Layout.Bytes(manifest.Files.Sum(static file => file.Bytes))} in all. What ends in .br is read by <code>brotli -dc</code>.</p>
            {(folder.Exists(EvidenceFolder.ManifestName) ? Html.Of($"""<p><a href="{Layout.Href(EvidenceFolder.ManifestName)}">{EvidenceFolder.ManifestName}</a></p>""") : Html.Empty)}
            {Html.Each(groups, static group => Html.Of($"""
            <details{Layout.Open(group.Count() <= ShownFiles)}><summary>{(group.Key.Length == 0 ? "Documents" : $"{group.Key}/")} <span class="quiet">{Layout.Plural(group.Count(), "file")}, {Layout.Bytes(group.Sum(static file => file.Bytes))}</span></summary>
            {Layout.Table($"Files {group.Key}", ["File", "Size\t", "SHA-256"], Html.Each(group, static file => Html.Of($"""
            <tr><td><a href="{Layout.Href(file.Path)}">{file.Path}</a></td><td class="number">{Layout.Bytes(file.Bytes)}</td><td><code title="{file.Sha256}">{file.Sha256[..Math.Min(ShownHash, file.Sha256.Length)]}</code></td></tr>

            """)))}</details>

            """))}</section>
            """);
    }

    private static string Shown(Scalar value) => value.Number is { } number ? $"{number:#,0.######}" : value.Word!;

    /// <param name="Figures">Null: it was not reached.</param>
    private sealed record FaultClass(string Fault, IReadOnlyList<Assertion> Assertions, FaultFigures? Figures)
    {
        public Verdict Verdict => Evaluator.Worst(Assertions.Select(static assertion => assertion.Verdict));

        public Scalar? Actual(string name) => Assertions.FirstOrDefault(assertion => assertion.Id == $"phase4.{Fault}.{name}")?.Actual;
    }
}
