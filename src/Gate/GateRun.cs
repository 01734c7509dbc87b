using System.Globalization;
using OrleansMemory.Gate.Campaigns;
using OrleansMemory.Gate.Canaries;
using OrleansMemory.Gate.Clients;
using OrleansMemory.Gate.Evidence;
using OrleansMemory.Gate.Nodes;
using OrleansMemory.Gate.Pages;
using OrleansMemory.Gate.Phases;
using OrleansMemory.Gate.Verdicts;

namespace OrleansMemory.Gate;

/// <summary>A campaign from its declaration to its verdict.</summary>
public static class GateRun
{
    private static readonly TimeSpan PhaseDeadline = TimeSpan.FromMinutes(10);
    private static readonly TimeSpan CycleDeadline = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan QuickFault = TimeSpan.FromSeconds(1);

    /// <summary>Runs it. Whatever happens, what ran is kept, concluded and listed in the manifest.</summary>
    /// <exception cref="GateException">It cannot begin.</exception>
    public static async Task<GateOutcome> RunAsync(GateOptions options, CancellationToken cancellation)
    {
        var scratch = Path.Combine(Path.GetTempPath(), string.Create(CultureInfo.InvariantCulture, $"om-gate-{Guid.NewGuid():n}")[..20]);
        var nodes = new NodesPlan(Path.Combine(scratch, "nodes"), options.Kind, options.Programs.Om, options.Programs.Silo);
        var scope = ScopeChoice.Choose(options, nodes);
        var evidence = EvidenceFolder.Create(options.Out);
        Directory.CreateDirectory(scratch);
        try
        {
            if (scope.Nodes != "silo")
            {
                return await RunAsync(options, scope, nodes, evidence, scratch, cancellation);
            }

            await using var members = await MembersPlace.OpenAsync(options.Programs.Om, Path.Combine(scratch, "members"));
            return await RunAsync(options, scope with { Members = members.Told }, nodes with { MembershipUrl = members.Url }, evidence, scratch, cancellation);
        }
        finally
        {
            Remove(scratch, options.Say);
        }
    }

    /// <summary>A phase that hangs may keep files open in it: then it stays, and nothing is lost by that.</summary>
    private static void Remove(string scratch, Action<string> say)
    {
        try
        {
            Directory.Delete(scratch, recursive: true);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            say($"{scratch} stays: {exception.Message}");
        }
    }

    private static async Task<GateOutcome> RunAsync(GateOptions options, CampaignScope scope, NodesPlan nodes, EvidenceFolder evidence, string scratch, CancellationToken cancellation)
    {
        var started = DateTimeOffset.UtcNow;
        var plan = new CampaignPlan(
            string.Create(CultureInfo.InvariantCulture, $"{started:yyyy-MM-ddTHHmmssZ}-{scope.Nodes}-{scope.Mode}"), started, scope, options.Build, MachineOf(), Declaration.Of(scope))
        {
            Canaries = [.. scope.Canaries.Select(name => Canary.PlanFor(name, options.Programs))],
        };
        evidence.Write(EvidenceFolder.PlanName, plan);
        options.Say($"campaign {plan.CampaignId}: {plan.Phases.Sum(static phase => phase.Assertions.Count)} assertions, {plan.Canaries.Count} canaries");
        if (scope.Members is { } place)
        {
            options.Say($"the silos keep their members in {place}");
        }

        var context = new PhaseContext(scope, options.Programs, evidence, scratch, options.Say);
        try
        {
            foreach (var phase in plan.Phases)
            {
                options.Say($"phase {phase.Phase}: {phase.Title}");
                await RunAsync(phase.Phase, context with { Say = line => options.Say($"  {line}") }, options, nodes, cancellation);
            }

            foreach (var canary in plan.Canaries.Where(static canary => canary.NotRun is null))
            {
                options.Say($"canary {canary.Name}: {canary.Broken}");
                await RunAsync(Canary.All.First(each => each.Plan.Name == canary.Name), plan, context, cancellation);
            }
        }
        catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
        {
            options.Say("interrupted: what ran is kept");
        }

        return Conclude(evidence);
    }

    private static GateOutcome Conclude(EvidenceFolder evidence)
    {
        var conclusion = Conclusion.Of(evidence);
        conclusion.Write(evidence);
        evidence.Write(EvidenceFolder.ManifestName, EvidenceManifest.Of(evidence));
        Report.Write(evidence.Path);
        List<string> lines = [];
        foreach (var phase in conclusion.Phases)
        {
            lines.Add($"phase {phase.Plan.Phase}  {phase.Verdict,-12}  {phase.Assertions.Count(static assertion => assertion.Verdict == Verdict.Pass)} of {phase.Assertions.Count}  {phase.Plan.Title}");
            lines.AddRange(phase.Assertions.Where(static assertion => assertion.Verdict != Verdict.Pass).GroupBy(static assertion => (assertion.Verdict, assertion.Reason)).Select(static same =>
                $"  {same.Key.Verdict}: {same.First().Id}{(same.Count() > 1 ? $" and {same.Count() - 1} more" : "")}: {same.Key.Reason}"));
        }

        var summary = conclusion.Documents[EvidenceFolder.SummaryName];
        lines.AddRange(summary["canaries"]!.AsArray().Select(static canary => $"canary {canary!["name"]}: {((string)canary["verdict"]! == nameof(Verdict.Pass) ? $"{canary["expected"]}, as it must be" : $"{canary["verdict"]}: {canary["reason"]}")}"));
        lines.Add($"acked={summary["acked"]} lost={summary["lost"]} verdict={conclusion.Verdict} certifies={summary["certifies"]!.ToJsonString()}");
        return new(conclusion.Verdict, evidence.Path, lines);
    }

    private static Task RunAsync(int phase, PhaseContext context, GateOptions options, NodesPlan nodes, CancellationToken cancellation)
    {
        return phase switch
        {
            1 => InPhaseAsync(PhaseDeadline, late => OnClusterAsync((cluster, stop) => FunctionalPhase.RunAsync(context, cluster, stop), late)),
            2 => InPhaseAsync(PhaseDeadline, late => OnClusterAsync((cluster, stop) => AgentsPhase.RunAsync(context, cluster, stop), late)),
            3 => InPhaseAsync(PhaseDeadline, late => MigrationPhase.RunAsync(context, late)),
            _ => InPhaseAsync(
                context.Scope.Faults.Count * context.Scope.Cycles * CycleDeadline,
                late => new ChaosPhase(context, nodes with { Folder = Path.Combine(context.Scratch, "phase4") }) { Duration = options.Quick ? QuickFault : null }.RunAsync(late)),
        };

        Task InPhaseAsync<T>(TimeSpan deadline, Func<CancellationToken, Task<T>> run) => PhaseRunner.RunAsync(context.Evidence, phase, deadline, null, run, cancellation);

        async Task<T> OnClusterAsync<T>(Func<Cluster, CancellationToken, Task<T>> run, CancellationToken late)
        {
            if (options.Given.Count > 0)
            {
                await using var given = await Cluster.OfAsync([.. options.Given.Select(static address => new NodeAddress(address.Authority, address))], late);
                return await run(given, late);
            }

            var folder = Path.Combine(context.Scratch, Declaration.PhaseName(phase));
            try
            {
                await using var cluster = await Cluster.StartAsync(nodes with { Folder = folder }, late);
                return await run(cluster, late);
            }
            finally
            {
                context.Evidence.KeepLogs(folder, Declaration.PhaseName(phase));
            }
        }
    }

    private static async Task RunAsync(Canary canary, CampaignPlan campaign, PhaseContext context, CancellationToken cancellation)
    {
        var evidence = EvidenceFolder.Create(context.Evidence.Canary(canary.Plan.Name).Path);
        evidence.Write(EvidenceFolder.PlanName, campaign with
        {
            CampaignId = $"{campaign.CampaignId}-{canary.Plan.Name}",
            StartedAt = DateTimeOffset.UtcNow,
            Scope = canary.Scope,
            Build = campaign.Build with { Binaries = new Dictionary<string, string>() },
            Phases = Declaration.Of(canary.Scope),
            Canaries = [],
        });
        var scratch = Directory.CreateDirectory(Path.Combine(context.Scratch, canary.Plan.Name)).FullName;
        await canary.RunAsync(new(canary.Scope, context.Programs, evidence, scratch, static _ => { }), cancellation);
        Conclusion.Of(evidence).Write(evidence);
        Remove(scratch, context.Say);
    }

    private static MachineFacts MachineOf() => new(
        System.Runtime.InteropServices.RuntimeInformation.OSDescription,
        System.Runtime.InteropServices.RuntimeInformation.FrameworkDescription,
        Environment.ProcessorCount,
        GC.GetGCMemoryInfo().TotalAvailableMemoryBytes);
}
