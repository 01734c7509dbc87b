using Orleans.Storage;

namespace OrleansMemory.Grains;

/// <inheritdoc cref="IStartupTaskGrain"/>
[CollectionAgeLimit(AlwaysActive = true), GrainType("startup-task")]
public sealed class StartupTaskGrain([PersistentState("record")] IPersistentState<StartupTaskRecord> record) : Grain, IStartupTaskGrain
{
    private const int Tries = 3;

    public async Task ReportAsync(StartupTaskReport report)
    {
        for (var attempt = 1; ; attempt++)
        {
            var known = record.State.Reports.GetValueOrDefault(report.Node);
            if (known is not null && (known.At >= report.At || (known.Version == report.Version && known.IsComplete == report.IsComplete)))
            {
                return;
            }

            record.State.Reports[report.Node] = report;
            try
            {
                await record.WriteStateAsync();
                return;
            }
            catch (InconsistentStateException) when (attempt < Tries)
            {
                // Another activation wrote meanwhile: what it wrote stays.
                await record.ReadStateAsync();
            }
            catch
            {
                // What may not be stored is not known: the node says it again.
                record.State.Reports.Remove(report.Node);
                if (known is not null)
                {
                    record.State.Reports[report.Node] = known;
                }

                throw;
            }
        }
    }

    public Task<IReadOnlyList<StartupTaskReport>> ReadAsync() =>
        Task.FromResult<IReadOnlyList<StartupTaskReport>>([.. record.State.Reports.Values.OrderBy(static report => report.Node, StringComparer.Ordinal)]);
}
