using FsCheck;
using FsCheck.Fluent;
using OrleansMemory.Gate.Campaigns;
using OrleansMemory.Gate.Evidence;
using OrleansMemory.Gate.Ledgers;
using OrleansMemory.Gate.Verdicts;

namespace OrleansMemory.Gate.Tests;

/// <summary>Whatever is taken from evidence, nothing that lacks it is green; and what a single verdict hangs on.</summary>
public sealed class EvaluatorProperties : IDisposable
{
    private static readonly string[] Operators = ["==", ">=", "<=", "~"];

    private readonly string _folder = Directory.CreateTempSubdirectory("om-evidence-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task A_campaign_that_lacks_any_line_of_a_ledger_is_red()
    {
        var scope = SampleRun.Quick with { Phases = [4], Faults = ["kill"], Cycles = 2 };
        List<LedgerLine> whole = [];
        await new SampleRun { Scope = scope, Altered = (_, lines) => whole = [.. lines] }.WriteAsync(Path.Combine(_folder, "whole"));
        Assert.Equal(Verdict.Pass, Conclusion.Of(EvidenceFolder.Open(Path.Combine(_folder, "whole"))).Verdict);
        for (var index = 0; index < whole.Count; index++)
        {
            var evidence = await new SampleRun { Scope = scope, Altered = (_, lines) => lines.Where((_, number) => number != index) }.WriteAsync(Path.Combine(_folder, $"{index}"));
            Assert.True(Conclusion.Of(evidence).Verdict != Verdict.Pass, $"green without {whole[index]}");
        }
    }

    [Fact]
    public async Task A_campaign_that_lacks_any_file_that_something_was_seen_in_is_red()
    {
        var path = (await new SampleRun().WriteAsync(Path.Combine(_folder, "whole"))).Path;
        foreach (var file in Directory.GetFiles(Path.Combine(path, "raw")).Concat(Directory.GetFiles(Path.Combine(path, "ledgers"))))
        {
            File.Move(file, file + ".away");
            Assert.True(Conclusion.Of(EvidenceFolder.Open(path)).Verdict != Verdict.Pass, $"green without {file}");
            File.Move(file + ".away", file);
        }

        Assert.Equal(Verdict.Pass, Conclusion.Of(EvidenceFolder.Open(path)).Verdict);
    }

    [Fact]
    public void A_pass_needs_a_value_of_the_right_kind_a_sample_and_its_bound() => Check.One(Config.QuickThrowOnFailure.WithMaxTest(5_000), Prop.ForAll<int>(static seed =>
    {
        var random = new Random(seed);
        var spec = new AssertionSpec("a", "d", Operators[random.Next(Operators.Length)], Value(random), random.Next(4));
        var observation = random.Next(5) == 0 ? null : new Observation(random.Next(5) == 0 ? null : Value(random), random.Next(5));
        var judged = Assertion.Judge(spec, observation);
        var holds = observation?.Actual is { } actual && (spec.Op, spec.Expected.Number, actual.Number) switch
        {
            ("==", _, _) => actual.ToString() == spec.Expected.ToString() && actual.Number is null == spec.Expected.Number is null,
            (">=", { } wanted, { } number) => number >= wanted,
            ("<=", { } wanted, { } number) => number <= wanted,
            _ => false,
        };
        return (judged.Verdict == Verdict.Pass) == (holds && observation!.SampleSize >= spec.MinSample) && judged.Reason is null == (judged.Verdict == Verdict.Pass);
    }));

    [Fact]
    public void A_larger_sample_of_the_same_takes_nothing_back() => Check.One(Config.QuickThrowOnFailure.WithMaxTest(2_000), Prop.ForAll<int>(static seed =>
    {
        var random = new Random(seed);
        var spec = new AssertionSpec("a", "d", Operators[random.Next(Operators.Length)], Value(random), random.Next(4));
        var observation = new Observation(Value(random), random.Next(5));
        var (small, large) = (Assertion.Judge(spec, observation).Verdict, Assertion.Judge(spec, observation with { SampleSize = observation.SampleSize + 1 }).Verdict);
        return small == Verdict.HarnessError || small == large;
    }));

    [Fact]
    public void Only_of_passes_alone_comes_a_pass() => Check.One(Config.QuickThrowOnFailure.WithMaxTest(500), Prop.ForAll<Verdict[]>(static verdicts =>
        (Evaluator.Worst(verdicts) == Verdict.Pass) == (verdicts.Length > 0 && Array.TrueForAll(verdicts, static verdict => verdict == Verdict.Pass))));

    private static Scalar Value(Random random) => random.Next(3) == 0 ? $"{random.Next(3)}" : random.Next(3);
}
