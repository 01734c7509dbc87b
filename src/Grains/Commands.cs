using System.Text.Json.Serialization;
using OrleansMemory.Core;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Grains;

/// <summary>A write of one namespace on its way to where it is decided. Names and fields are sent: they never change meaning, and a field that is missing has its default.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "do")]
[JsonDerivedType(typeof(StoreCommand), "store")]
[JsonDerivedType(typeof(ImportCommand), "import")]
[JsonDerivedType(typeof(SyncCommand), "sync")]
[JsonDerivedType(typeof(UpdateCommand), "update")]
[JsonDerivedType(typeof(DeleteCommand), "delete")]
[JsonDerivedType(typeof(PromoteCommand), "promote")]
[JsonDerivedType(typeof(LinkCommand), "link")]
[JsonDerivedType(typeof(ForgetCommand), "forget")]
[JsonDerivedType(typeof(SetQuorumCommand), "set_quorum")]
[JsonDerivedType(typeof(RunCommand), "run")]
internal abstract record WriteCommand
{
    public required WriteContext Context { get; init; }

    /// <summary>What the node that decides must hold before it does.</summary>
    public IReadOnlyList<LogPosition>? Seen { get; init; }

    /// <summary>Done again, it changes nothing more: it may be sent again when nobody knows what became of it.</summary>
    [JsonIgnore]
    public virtual bool IsRepeatable => false;

    public abstract Task<WriteAnswer> RunAsync(INamespaceEngine engine);
}

internal sealed record StoreCommand(MemoryDraft Draft) : WriteCommand
{
    public override bool IsRepeatable => Context.IdempotencyKey is not null;

    public override async Task<WriteAnswer> RunAsync(INamespaceEngine engine) => new() { Receipt = await engine.StoreAsync(Draft, Context) };
}

internal sealed record ImportCommand(Memory Memory) : WriteCommand
{
    public override async Task<WriteAnswer> RunAsync(INamespaceEngine engine) => new() { Receipt = await engine.ImportAsync(Memory, Context) };
}

internal sealed record SyncCommand(Memory Memory) : WriteCommand
{
    public override async Task<WriteAnswer> RunAsync(INamespaceEngine engine)
    {
        var outcome = await engine.SyncAsync(Memory, Context);
        return new() { Sync = new(outcome.Changed, outcome.Position) };
    }
}

internal sealed record UpdateCommand(string Id, MemoryPatch Patch) : WriteCommand
{
    public override async Task<WriteAnswer> RunAsync(INamespaceEngine engine) => new() { Receipt = await engine.UpdateAsync(Id, Patch, Context) };
}

internal sealed record DeleteCommand(string Id) : WriteCommand
{
    public override async Task<WriteAnswer> RunAsync(INamespaceEngine engine) => new() { Receipt = await engine.DeleteAsync(Id, Context) };
}

internal sealed record PromoteCommand(string Id) : WriteCommand
{
    public override bool IsRepeatable => Context.IfMatch is null;

    public override async Task<WriteAnswer> RunAsync(INamespaceEngine engine) => new() { Receipt = await engine.PromoteAsync(Id, Context) };
}

internal sealed record LinkCommand(string SourceId, string TargetId, string Relation, Timestamp? CreatedAt) : WriteCommand
{
    public override bool IsRepeatable => true;

    public override async Task<WriteAnswer> RunAsync(INamespaceEngine engine) =>
        new() { Link = await engine.LinkAsync(SourceId, TargetId, Relation, CreatedAt, Context) };
}

internal sealed record ForgetCommand(IReadOnlyList<string> Ids) : WriteCommand
{
    public override async Task<WriteAnswer> RunAsync(INamespaceEngine engine) => new() { Count = await engine.ForgetAsync(Ids, Context) };
}

internal sealed record SetQuorumCommand(int? Writes) : WriteCommand
{
    public override bool IsRepeatable => true;

    public override async Task<WriteAnswer> RunAsync(INamespaceEngine engine)
    {
        await engine.SetQuorumAsync(Writes, Context);
        return new();
    }
}

internal sealed record RunCommand(NamespaceCommand Command) : WriteCommand
{
    public override async Task<WriteAnswer> RunAsync(INamespaceEngine engine) => new() { Result = await engine.RunAsync(Command, Context) };
}
