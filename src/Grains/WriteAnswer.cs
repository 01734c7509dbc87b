using OrleansMemory.Core;
using OrleansMemory.Core.Governance;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Grains;

/// <summary>What became of a write, on its way back: what its kind of command gives, or an error.</summary>
internal sealed record WriteAnswer
{
    public WriteReceipt? Receipt { get; init; }

    public LinkReceipt? Link { get; init; }

    public SyncAnswer? Sync { get; init; }

    public long Count { get; init; }

    public CommandResult? Result { get; init; }

    public ErrorAnswer? Error { get; init; }

    /// <summary>With <see cref="Error"/>: what was written all the same is in <see cref="Receipt"/> or <see cref="Link"/>.</summary>
    public static WriteAnswer Of(MemoryException exception) => new()
    {
        Receipt = (exception as QuorumException)?.Written as WriteReceipt,
        Link = (exception as QuorumException)?.Written as LinkReceipt,
        Error = new(exception.Kind.Code, exception.Kind.HttpStatus, exception.Kind.ExitCode, exception.Message)
        {
            Quorum = (exception as QuorumException)?.Quorum,
            Outcome = (exception as QuorumException)?.Outcome,
            Pending = exception is PendingException pending ? new(pending.PendingId, pending.ActionType, pending.Namespace, pending.MemoryId) : null,
        },
    };

    public AnswerMessage ToMessage() => new(
        WireJson.Encode(this),
        IsFenced: Error?.Quorum?.Reason == QuorumReasons.Fenced,
        CannotWrite: Error is { Outcome: QuorumException.NotStored, Quorum.Reason: QuorumReasons.ClockSkew or QuorumReasons.StoreFailed or QuorumReasons.Draining });

    public MemoryException ToException()
    {
        var error = Error!;
        return error.Pending is { } pending ? new PendingException(pending.PendingId, pending.ActionType, pending.Namespace, pending.MemoryId)
            : error.Quorum is { } quorum
            ? new QuorumException(quorum, error.Outcome!, error.Message) { Written = (object?)Receipt ?? Link }
            : new MemoryException(new(error.Code, error.HttpStatus, error.ExitCode), error.Message);
    }
}

internal sealed record SyncAnswer(bool Changed, LogPosition Position);

internal sealed record ErrorAnswer(string Code, int HttpStatus, int ExitCode, string Message)
{
    public QuorumOutcome? Quorum { get; init; }

    public string? Outcome { get; init; }

    public PendingAnswer? Pending { get; init; }
}

internal sealed record PendingAnswer(string PendingId, string ActionType, string Namespace, string? MemoryId);
