using System.Text.Json;
using System.Text.Json.Nodes;
using OrleansMemory.Gate.Evidence;
using OrleansMemory.Gate.Ledgers;
using OrleansMemory.Gate.Verdicts;

namespace OrleansMemory.Gate.Campaigns;

/// <param name="Documents">Name and content of each document that the phase is told in.</param>
internal sealed record PhaseResult(PhasePlan Plan, Verdict Verdict, IReadOnlyList<Assertion> Assertions, IReadOnlyDictionary<string, JsonObject> Documents);

/// <summary>Makes verdicts of evidence, and of nothing else: the campaign calls it in its end, and whoever verifies calls it again.</summary>
internal static class Evaluator
{
    /// <summary>So many cases of a kind are named in a document; the ledger has all.</summary>
    private const int NamedCases = 10;

    private const decimal Microseconds = 1_000;

    public static PhaseResult Evaluate(CampaignPlan campaign, PhasePlan plan, EvidenceFolder evidence)
    {
        var name = Declaration.PhaseName(plan.Phase);
        var rawPath = EvidenceFolder.RawPath(plan.Phase);
        if (!evidence.Exists(rawPath))
        {
            return Result(plan, [.. plan.Assertions.Select(Assertion.NotRun)], Document(plan.Phase));
        }

        var seen = new Seen();
        var document = Document(plan.Phase);
        string? why = null;
        try
        {
            var raw = evidence.Read<RawPhase>(rawPath);
            document["started_at"] = JsonValue.Create(raw.StartedAt);
            document["ended_at"] = JsonValue.Create(raw.EndedAt);
            document["end"] = raw.End;
            document["error"] = raw.Error;
            if (raw.Phase != plan.Phase)
            {
                throw new InvalidDataException($"{rawPath} is of phase {raw.Phase}");
            }

            why = raw.End == PhaseEnds.Completed ? null : $"the phase {raw.End.Replace('_', ' ')}: {raw.Error}";
            var documents = Observe(campaign, plan, raw, evidence, seen, document);
            if (documents is not null)
            {
                return Result(plan, Judge(plan, seen, why), document, documents);
            }
        }
        catch (Exception exception) when (exception is InvalidDataException or JsonException)
        {
            // What was observed of half a phase is worth nothing.
            why ??= exception.Message;
            seen = new();
        }

        return Result(plan, Judge(plan, seen, why), document);
    }

    /// <summary>The worst of them; of none, an error.</summary>
    public static Verdict Worst(IEnumerable<Verdict> verdicts) => verdicts.DefaultIfEmpty(Verdict.HarnessError).Max();

    private static List<Assertion> Judge(PhasePlan plan, Seen seen, string? why)
    {
        // A phase that did not end proves nothing by what it saw, but what it saw to fail has failed.
        var judged = plan.Assertions.Select(spec =>
        {
            var reason = why ?? seen.WhyOf(spec.Id);
            var assertion = Assertion.Judge(spec, seen.Take(spec.Id), reason);
            return reason is not null && assertion.Verdict == Verdict.Pass ? assertion with { Verdict = Verdict.HarnessError, Reason = reason } : assertion;
        }).ToList();
        judged.AddRange(seen.Rest.Select(static pair => Assertion.Extra(pair.Key, pair.Value)));
        return judged;
    }

    private static PhaseResult Result(PhasePlan plan, List<Assertion> assertions, JsonObject document, IReadOnlyDictionary<string, JsonObject>? others = null)
    {
        var verdict = Worst(assertions.Select(static assertion => assertion.Verdict));
        Conclude(document, assertions, verdict);
        var documents = new Dictionary<string, JsonObject> { [$"{Declaration.PhaseName(plan.Phase)}.json"] = document };
        foreach (var (name, other) in others ?? new Dictionary<string, JsonObject>())
        {
            var prefix = (string)other["prefix"]!;
            other.Remove("prefix");
            var own = assertions.Where(assertion => assertion.Id.StartsWith(prefix, StringComparison.Ordinal)).ToList();
            Conclude(other, own, Worst(own.Select(static assertion => assertion.Verdict)));
            documents[name] = other;
        }

        return new(plan, verdict, assertions, documents);
    }

    private static void Conclude(JsonObject document, List<Assertion> assertions, Verdict verdict)
    {
        document["pass"] = verdict == Verdict.Pass;
        document["verdict"] = verdict.ToString();
        document["reasons"] = new JsonArray([.. assertions.Where(static assertion => assertion.Verdict != Verdict.Pass).Select(static assertion => JsonValue.Create($"{assertion.Id}: {assertion.Reason}"))]);
        document["assertions"] = JsonSerializer.SerializeToNode(assertions, GateJson.Documents);
    }

    private static JsonObject Document(int phase) => new() { ["phase"] = phase };

    /// <returns>Further documents of the phase, if it has any, each with the prefix of its assertions.</returns>
    private static Dictionary<string, JsonObject>? Observe(CampaignPlan campaign, PhasePlan plan, RawPhase raw, EvidenceFolder evidence, Seen seen, JsonObject document)
    {
        switch (plan.Phase)
        {
            case 1:
                return raw.Observed is null ? null : Functional(EvidenceFolder.Parse<List<RawNode>>(raw.Observed, plan.Phase), seen, campaign.Scope);
            case 2:
                Agents(campaign.Scope, raw, evidence, seen, document);
                return null;
            case 3:
                if (raw.Observed is not null)
                {
                    Migration(EvidenceFolder.Parse<RawMigration>(raw.Observed, plan.Phase), seen, document);
                }

                return null;
            default:
                Chaos(campaign.Scope, evidence, seen, document, raw);
                return null;
        }
    }

    private static Dictionary<string, JsonObject> Functional(List<RawNode> nodes, Seen seen, CampaignScope scope)
    {
        var documents = new Dictionary<string, JsonObject>();
        foreach (var node in nodes)
        {
            var id = $"phase1.{node.Name}";
            seen.Add($"{id}.stats", Number(node.Stats, "total"));
            seen.Add($"{id}.recall", node.RecallCount);
            seen.Add($"{id}.mcp_http", node.McpHttpTools);
            seen.Add($"{id}.mcp_stdio", node.McpStdioTools);
            seen.Add($"{id}.curator_errors", Length(node.Curator, "errors"));
            seen.Add($"{id}.errors", node.Errors.Count);
            if (scope.Nodes != "given")
            {
                seen.Add($"{id}.snapshots", node.SnapshotCount);
                seen.Add($"{id}.manifests", node.ManifestCount);
                if (node is { Source: { } source, Restored: { } restored })
                {
                    seen.Add($"{id}.restored", Differences(source, restored).Count, source.Count);
                }
            }

            documents[$"phase1-node-{node.Name}.json"] = new()
            {
                ["prefix"] = $"{id}.",
                ["phase"] = 1,
                ["host"] = node.Name,
                ["version"] = node.Version,
                ["stats"] = JsonSerializer.SerializeToNode(node.Stats),
                ["curator"] = JsonSerializer.SerializeToNode(node.Curator),
                ["mcp_tool_count"] = node.McpStdioTools,
                ["recall_count"] = node.RecallCount,
                ["snapshot_count"] = node.SnapshotCount,
                ["manifest_count"] = node.ManifestCount,
                ["errors"] = Named(node.Errors),
            };
        }

        return documents;
    }

    private static void Agents(CampaignScope scope, RawPhase raw, EvidenceFolder evidence, Seen seen, JsonObject document)
    {
        var ledger = evidence.ReadLedger(Declaration.PhaseName(2));
        var burst = ledger.Where(static line => line.Cycle == 1).ToList();
        var creates = burst.OfType<Operation>().Where(static operation => operation.Op == Operations.Create).ToList();
        var acked = creates.Where(static create => create.Outcome == Outcome.Acked).ToList();
        seen.Add("phase2.acked", acked.Count, creates.Count);
        var wanted = acked.Where(static create => create.Id is not null).DistinctBy(static create => create.Id).ToDictionary(static create => create.Id!, static create => create.Hash);
        var counts = new JsonObject();
        foreach (var node in scope.Names)
        {
            var present = burst.OfType<Holding>().Where(holding => holding.Node == node).DistinctBy(static holding => holding.Id).Count(holding => wanted.GetValueOrDefault(holding.Id) == holding.Hash);
            seen.Add($"phase2.{node}.present", present, wanted.Count);
            counts[node] = present;
        }

        var changes = ledger.OfType<Operation>().Where(static operation => operation is { Cycle: 2, Op: Operations.Update or Operations.Promote or Operations.Delete }).ToList();
        seen.Add("phase2.changes", changes.Count(static change => change.Outcome == Outcome.Acked), changes.Count);
        var cycles = CycleChecker.Check(ledger, anyMayStore: scope.Nodes == "silo");
        Ledger("phase2", cycles, cycles, seen, document);
        document["total_writes"] = creates.Count;
        document["ok"] = acked.Count;
        document["quorum_not_met"] = creates.Count(static create => create.Code == "quorum_not_met");
        document["fail"] = creates.Count(static create => create.Outcome != Outcome.Acked && create.Code != "quorum_not_met");
        document["counts"] = counts;
        if (raw.Observed is null)
        {
            return;
        }

        var observed = EvidenceFolder.Parse<RawAgents>(raw.Observed, 2);
        seen.Add("phase2.links", observed.LinksMissing.Count, observed.Links);
        document["links"] = observed.Links;
        document["links_missing"] = Named(observed.LinksMissing);
        if (scope.Nodes == "given")
        {
            return;
        }

        seen.Add("phase2.one_down", observed.OneDown);
        seen.Add("phase2.both_down", observed.BothDown);
        seen.Add("phase2.both_down_code", observed.BothDownCode is { } code ? new Observation(code) : null);
        seen.Add("phase2.rejoined", observed.Rejoined.Count - observed.Rejoined.Values.GroupBy(static digest => digest).Select(static same => same.Count()).DefaultIfEmpty(0).Max(), observed.Rejoined.Count);
        seen.Add("phase2.crashes", observed.Crashes.Count);
        document["crashes"] = Named(observed.Crashes);
        document["probe1_single_peer_down"] = observed.OneDown?.ToString(System.Globalization.CultureInfo.InvariantCulture);
        document["probe2_both_peers_down"] = observed.BothDown?.ToString(System.Globalization.CultureInfo.InvariantCulture);
    }

    private static void Migration(RawMigration raw, Seen seen, JsonObject document)
    {
        var memories = raw.Source.Keys.Count(static key => !key.StartsWith("link ", StringComparison.Ordinal));
        seen.Add("phase3.seeded", memories, memories);
        seen.Add("phase3.forward_read", Number(raw.Forward, "memories_read"));
        seen.Add("phase3.forward_written", Number(raw.Forward, "memories_written"));
        var there = Differences(raw.Source, raw.There);
        var returned = Differences(raw.Source, raw.Returned);
        seen.Add("phase3.forward_different", there.Count, raw.Source.Count);
        seen.Add("phase3.again_written", Number(raw.Again, "memories_written"));
        seen.Add("phase3.back_different", returned.Count, raw.Source.Count);
        JsonElement[] reports = [raw.Forward, raw.Again, raw.Back];
        seen.Add("phase3.errors", reports.Aggregate((long?)0, static (sum, report) => sum + Length(report, "errors")), reports.Length);
        document["report_forward"] = JsonSerializer.SerializeToNode(raw.Forward);
        document["report_idempotent"] = JsonSerializer.SerializeToNode(raw.Again);
        document["report_reverse"] = JsonSerializer.SerializeToNode(raw.Back);
        document["src_count"] = raw.Source.Count;
        document["dst_count"] = raw.Returned.Count;
        document["different"] = Named([.. there, .. returned]);
    }

    private static void Chaos(CampaignScope scope, EvidenceFolder evidence, Seen seen, JsonObject document, RawPhase raw)
    {
        document["cycles_per_fault"] = scope.Cycles;
        document["writes_per_cycle"] = scope.Writes;
        var observed = raw.Observed is null ? null : EvidenceFolder.Parse<RawChaos>(raw.Observed, 4);
        var bounds = new JsonObject();
        var faults = new JsonArray();
        foreach (var fault in scope.Faults)
        {
            var name = $"phase4-{fault}";
            var error = observed?.Errors.GetValueOrDefault(fault);
            seen.AddWhy($"phase4.{fault}.", error);
            if (!evidence.HasLedger(name))
            {
                // It was not reached; its assertions say so.
                continue;
            }

            var ledger = evidence.ReadLedger(name);
            var cycles = CycleChecker.Check(ledger, anyMayStore: scope.Nodes == "silo");

            // The others were run again; what they show counts all the same.
            var met = cycles.Where(cycle => cycle.InFlight.Count > 0 && cycle.Injection!.Fault == fault).ToList();
            var kinds = met.SelectMany(static cycle => cycle.InFlight).GroupBy(static pair => pair.Key, static pair => pair.Value).ToDictionary(static kind => kind.Key, static kind => kind.Sum());
            var crashes = observed?.Crashes.GetValueOrDefault(fault);
            var id = $"phase4.{fault}";
            seen.Add($"{id}.cycles", met.Count, cycles.Count);
            seen.Add($"{id}.in_flight", met.Count == 0 ? null : met.Min(static cycle => cycle.InFlight.Values.Sum()), met.Count);
            seen.Add($"{id}.kinds", kinds.Count, met.Count);
            seen.Add($"{id}.crashes", crashes?.Count);
            seen.Add($"{id}.acked", cycles.Sum(static cycle => cycle.Acked), cycles.Count);
            var bound = cycles.Count == 0 ? (decimal?)null : cycles.Min(static cycle => cycle.Bound);
            seen.Add($"{id}.bound", bound is { } least ? new Observation(least, cycles.Count) : null);
            bounds[fault] = bound;
            var told = new JsonObject
            {
                ["fault"] = fault,
                ["cycles"] = cycles.Count,
                ["acked"] = cycles.Sum(static cycle => cycle.Acked),
                ["kept"] = cycles.Sum(static cycle => cycle.Kept),
                ["token_reads"] = cycles.Sum(static cycle => cycle.TokenReads),
                ["outcomes"] = JsonSerializer.SerializeToNode(ledger.OfType<Operation>().Where(static operation => operation.Op != Operations.Read).CountBy(static operation => operation.Outcome)
                    .OrderBy(static pair => pair.Key).ToDictionary(static pair => JsonNamingPolicy.SnakeCaseLower.ConvertName(pair.Key.ToString()), static pair => pair.Value)),
                ["in_flight"] = JsonSerializer.SerializeToNode(kinds),
                ["repeated_cycles"] = cycles.Count - met.Count,
                ["crashes"] = Named(crashes ?? []),
                ["error"] = error,
                ["acked_per_second"] = PerSecond(ledger),
            };
            Ledger(id, cycles, met, seen, told);
            faults.Add(told);
        }

        document["convergence_by_fault"] = bounds;
        document["convergence_bound"] = bounds.Count == 0 ? null : JsonSerializer.SerializeToNode(bounds.Min(static pair => pair.Value?.GetValue<decimal>()));
        document["acked"] = faults.Sum(static fault => (long)fault!["acked"]!);
        document["faults"] = faults;
        document["left_out"] = JsonSerializer.SerializeToNode(scope.LeftOut);
    }

    /// <summary>Acknowledged writes for each second of traffic, over all cycles.</summary>
    private static decimal PerSecond(IReadOnlyList<LedgerLine> ledger)
    {
        var cycles = ledger.OfType<Operation>().GroupBy(static operation => operation.Cycle).ToList();
        var seconds = cycles.Sum(static cycle => (decimal)(cycle.Max(static operation => operation.End) - cycle.Min(static operation => operation.Start))) / (Microseconds * Microseconds);
        var acked = ledger.OfType<Operation>().Count(static operation => operation is { Outcome: Outcome.Acked, Op: not Operations.Read });
        return seconds == 0 ? 0 : Math.Round(acked / seconds, 1);
    }

    /// <summary>What every ledger is held to.</summary>
    /// <param name="counted">Those of the cycles that must have converged, as many as were declared.</param>
    private static void Ledger(string id, IReadOnlyList<CycleFindings> cycles, IReadOnlyList<CycleFindings> counted, Seen seen, JsonObject document)
    {
        var acked = cycles.Sum(static cycle => cycle.Acked);
        foreach (var name in Declaration.LedgerNames)
        {
            var cases = cycles.SelectMany(cycle => name switch
            {
                "lost" => cycle.Lost,
                "different" => cycle.Different,
                "foreign" => cycle.Foreign,
                "duplicates" => cycle.Duplicates,
                "refused" => cycle.Refused,
                "split" => cycle.Split,
                "resurrected" => cycle.Resurrected,
                "stale" => cycle.Stale,
                "unexpected" => cycle.Unexpected,
                "pages" => cycle.Pages,
                "changed" => cycle.Changed,
                _ => throw new InvalidOperationException(name),
            }, static (cycle, text) => $"cycle {cycle.Cycle}: {text}").ToList();
            seen.Add($"{id}.{name}", cases.Count, name switch
            {
                "resurrected" => cycles.Sum(static cycle => cycle.Deletes),
                "stale" => cycles.Count(static cycle => cycle.TokenReads > 0),
                "pages" => cycles.Count(static cycle => cycle.Nodes > 0),
                "changed" => cycles.Sum(static cycle => cycle.LaterReadings),
                _ => acked,
            });
            if (cases.Count > 0)
            {
                document[name] = Named(cases);
            }
        }

        var read = cycles.Count(static cycle => cycle.Nodes > 0);
        seen.Add($"{id}.nodes", cycles.Count == 0 ? null : cycles.Min(static cycle => cycle.Nodes), read);
        seen.Add($"{id}.digests", cycles.Count == 0 ? null : cycles.Max(static cycle => cycle.Digests), read);
        var converged = counted.Select(static cycle => cycle.Injection).Where(static injection => injection?.Converged is not null)
            .Select(static injection => (injection!.Converged!.Value - injection.Healed) / Microseconds).ToList();
        seen.Add($"{id}.converged", converged.Count, counted.Count);
        document["converge_ms"] = JsonSerializer.SerializeToNode(Percentiles.Of(converged), GateJson.Documents);
        document["converge_ms_by_cycle"] = JsonSerializer.SerializeToNode(converged.Select(static each => Math.Round(each, 1)));
    }

    private static JsonArray Named(IReadOnlyList<string> cases) =>
        new([.. cases.Take(NamedCases).Append(cases.Count > NamedCases ? $"and {cases.Count - NamedCases} more" : null).Where(static text => text is not null).Select(static text => JsonValue.Create(text))]);

    /// <summary>What one side has and the other lacks or holds otherwise.</summary>
    private static List<string> Differences(IReadOnlyDictionary<string, string> one, IReadOnlyDictionary<string, string> other) =>
        [.. one.Keys.Union(other.Keys).Where(key => one.GetValueOrDefault(key) != other.GetValueOrDefault(key)).Order(StringComparer.Ordinal)];

    private static long? Number(JsonElement? document, string name) =>
        document is { ValueKind: JsonValueKind.Object } found && found.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.Number && value.TryGetInt64(out var number) ? number : null;

    private static long? Length(JsonElement? document, string name) =>
        document is { ValueKind: JsonValueKind.Object } found && found.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.Array ? value.GetArrayLength() : null;

    /// <summary>Observations by the id of their assertion; each is taken once.</summary>
    private sealed class Seen
    {
        private readonly Dictionary<string, Observation> _observations = new(StringComparer.Ordinal);
        private readonly List<(string Prefix, string Why)> _whys = [];

        public IEnumerable<KeyValuePair<string, Observation>> Rest => _observations;

        /// <summary>The harness failed at the assertions of a prefix.</summary>
        public void AddWhy(string prefix, string? why)
        {
            if (why is not null)
            {
                _whys.Add((prefix, why));
            }
        }

        public string? WhyOf(string id) => _whys.Find(each => id.StartsWith(each.Prefix, StringComparison.Ordinal)).Why;

        public void Add(string id, Observation? observation)
        {
            if (observation is not null && !_observations.TryAdd(id, observation))
            {
                throw new InvalidDataException($"{id} was observed twice");
            }
        }

        public void Add(string id, long? number, long sample = 1) => Add(id, new Observation(number is { } value ? (Scalar)value : null, sample));

        public Observation? Take(string id) => _observations.Remove(id, out var observation) ? observation : null;
    }
}
