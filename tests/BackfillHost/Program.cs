using System.Text;
using OrleansMemory.Core.Backfills;
using OrleansMemory.Core.Backfills.Steps;
using OrleansMemory.Core.Replication;
using OrleansMemory.Storage.Sqlite;

// A process to be killed: runs one step over a store and notes, before it commits, each row that it computes.
// Arguments: the store's file, the file of notes, rows in a batch at most.
await using var store = SqliteStore.Open(args[0]);
using var notes = new FileStream(args[1], FileMode.Append, FileAccess.Write, FileShare.ReadWrite, bufferSize: 1);
await using var writer = await CommandWriter.StartAsync(store, new ConcurrentExclusiveSchedulerPair().ExclusiveScheduler, TimeProvider.System, new Random());
var step = new DerivedStep(store, new("length", 1, memory =>
{
    notes.Write(Encoding.UTF8.GetBytes($"{memory.Id}\n"));
    return BitConverter.GetBytes(memory.Content.Length);
}));
await using var runner = new BackfillRunner(store, writer, [step], new() { LargestBatch = int.Parse(args[2], null) }, $"{Environment.ProcessId}", "host", TimeProvider.System);
runner.Observer = told =>
{
    if (told.Kind is BackfillEventKind.Started or BackfillEventKind.Resumed)
    {
        Console.WriteLine(told.Kind);
    }
};
runner.Start(new Random(), new ConcurrentExclusiveSchedulerPair().ExclusiveScheduler);
await runner.Settled;
Console.WriteLine("settled");
