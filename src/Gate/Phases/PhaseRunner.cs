using System.Text.Json;
using System.Text.Json.Nodes;
using OrleansMemory.Gate.Campaigns;
using OrleansMemory.Gate.Evidence;

namespace OrleansMemory.Gate.Phases;

/// <summary>Runs a phase to its end or its deadline, and writes down how it ended; nothing that it does ends the campaign.</summary>
internal static class PhaseRunner
{
    /// <summary>A phase that is told to stop has so long to put its nodes away.</summary>
    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(30);

    /// <param name="run">What it observes becomes part of the evidence.</param>
    /// <exception cref="OperationCanceledException">The campaign was interrupted; that is written down too.</exception>
    public static async Task RunAsync<T>(EvidenceFolder evidence, int phase, TimeSpan deadline, TimeSpan? grace, Func<CancellationToken, Task<T>> run, CancellationToken cancellation)
    {
        var started = DateTimeOffset.UtcNow;
        var (end, error, observed) = (PhaseEnds.Completed, (string?)null, (JsonNode?)null);
        using var late = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        late.CancelAfter(deadline);
        try
        {
            observed = JsonSerializer.SerializeToNode(await run(late.Token).WaitAsync(deadline + (grace ?? Grace), CancellationToken.None), GateJson.Documents);
        }
        catch (Exception exception) when (exception is TimeoutException || (exception is OperationCanceledException && late.IsCancellationRequested))
        {
            (end, error) = cancellation.IsCancellationRequested ? (PhaseEnds.Interrupted, "the campaign was interrupted")
                : late.IsCancellationRequested ? (PhaseEnds.TimedOut, $"it took longer than {deadline.TotalSeconds} s")
                : (PhaseEnds.Failed, exception.Message);
        }
        catch (Exception exception)
        {
            // Whatever it is, it belongs into the evidence and not over the other phases.
            (end, error) = (PhaseEnds.Failed, $"{exception.GetType().Name}: {exception.Message}");
        }

        evidence.Write(EvidenceFolder.RawPath(phase), new RawPhase(phase, started, DateTimeOffset.UtcNow, end, error, observed));
        cancellation.ThrowIfCancellationRequested();
    }
}
