using Orleans.Storage;

namespace OrleansMemory.Grains;

/// <inheritdoc cref="IStartupTaskGrain"/>
[GrainType("startup-task")]
public sealed class StartupTaskGrain([PersistentState("record")] IPersistentState<StartupTaskRecord> record) : Grain, IStartupTaskGrain
{
    private const int Tries = 3;

    public async Task ReportAsync(StartupTaskReport report)
    {
        for (var attempt = 1; ; attempt++)
        {
            if (record.State.Reports.GetValueOrDefault(report.Node) is { } known && Order(known).CompareTo(Order(report)) >= 0)
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
        }
    }

    public Task<IReadOnlyList<StartupTaskReport>> ReadAsync() =>
        Task.FromResult<IReadOnlyList<StartupTaskReport>>([.. record.State.Reports.Values.OrderBy(static report => report.Node, StringComparer.Ordinal)]);

    private static (int, bool) Order(StartupTaskReport report) => (report.Version, report.IsComplete);
}
