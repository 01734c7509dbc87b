using System.IO.Pipelines;
using System.Runtime.CompilerServices;
using Microsoft.AspNetCore.Connections;

namespace OrleansMemory.Api.Http;

/// <summary>Lets a request count that its caller sent in full before closing the connection.</summary>
public static class CompleteBodies
{
    /// <summary>Belongs behind TLS.</summary>
    public static void UseCompleteBodies(this IConnectionBuilder connections) => connections.Use(next => connection =>
    {
        connection.Transport = new Transport(new EndAfterDataReader(connection.Transport.Input), connection.Transport.Output);
        return next(connection);
    });

    private sealed class Transport(PipeReader input, PipeWriter output) : IDuplexPipe
    {
        public PipeReader Input { get; } = input;

        public PipeWriter Output { get; } = output;
    }

    /// <summary>
    /// Reports the end of the stream only after everything before it was looked at. Kestrel refuses a body of known length,
    /// complete or not, as soon as it is told of the end, and so would lose the write of a caller that sends and leaves.
    /// </summary>
    private sealed class EndAfterDataReader(PipeReader inner) : PipeReader
    {
        private SequencePosition _end;
        private bool _sawAll;

        [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
        public override async ValueTask<ReadResult> ReadAsync(CancellationToken cancellationToken = default) => Shown(await inner.ReadAsync(cancellationToken));

        public override bool TryRead(out ReadResult result)
        {
            if (!inner.TryRead(out result))
            {
                return false;
            }

            result = Shown(result);
            return true;
        }

        public override void AdvanceTo(SequencePosition consumed) => AdvanceTo(consumed, consumed);

        public override void AdvanceTo(SequencePosition consumed, SequencePosition examined)
        {
            _sawAll = examined.Equals(_end);
            inner.AdvanceTo(consumed, examined);
        }

        public override void CancelPendingRead() => inner.CancelPendingRead();

        public override void Complete(Exception? exception = null) => inner.Complete(exception);

        public override ValueTask CompleteAsync(Exception? exception = null) => inner.CompleteAsync(exception);

        private ReadResult Shown(ReadResult result)
        {
            var isNew = !_sawAll || !result.Buffer.End.Equals(_end);
            var hidesEnd = result.IsCompleted && !result.Buffer.IsEmpty && isNew;
            _end = result.Buffer.End;
            return hidesEnd ? new(result.Buffer, result.IsCanceled, isCompleted: false) : result;
        }
    }
}
