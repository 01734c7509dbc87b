namespace OrleansMemory.Grains;

/// <summary>A question or an answer between replicas, in the bytes of <see cref="Core.Replication.LinkCodec"/>.</summary>
/// <param name="Problem">Of an answer: why there is none.</param>
[GenerateSerializer, Immutable, Alias("om.LinkMessage")]
public sealed record LinkMessage([property: Id(0)] byte[] Bytes, [property: Id(1)] string? Problem = null);

/// <summary>Writes of one namespace on their way to its activation; <see cref="WireJson"/> gives the bytes of each.</summary>
[GenerateSerializer, Immutable, Alias("om.WriteBatch")]
public sealed record WriteBatch([property: Id(0)] byte[][] Commands);

/// <summary>What became of each write of a batch, in order.</summary>
[GenerateSerializer, Immutable, Alias("om.AnswerBatch")]
public sealed record AnswerBatch([property: Id(0)] AnswerMessage[] Answers);

/// <summary>A write of one namespace for a node to decide; <see cref="WireJson"/> gives the bytes.</summary>
/// <param name="Epoch">The activation that it is decided for.</param>
[GenerateSerializer, Immutable, Alias("om.WriteMessage")]
public sealed record WriteMessage([property: Id(0)] string Namespace, [property: Id(1)] byte[] Command, [property: Id(2)] EpochMessage Epoch);

/// <summary>What became of a write; <see cref="WireJson"/> gives the bytes.</summary>
/// <param name="IsFenced">The activation that decided is over.</param>
/// <param name="CannotWrite">The node stored nothing, and would store nothing else either: its clock or its store is not right.</param>
[GenerateSerializer, Immutable, Alias("om.AnswerMessage")]
public sealed record AnswerMessage([property: Id(0)] byte[] Answer, [property: Id(1)] bool IsFenced = false, [property: Id(2)] bool CannotWrite = false);

/// <summary>An epoch: its stamp in parts.</summary>
[GenerateSerializer, Immutable, Alias("om.EpochMessage")]
public sealed record EpochMessage(
    [property: Id(0)] long Clock, [property: Id(1)] string Node, [property: Id(2)] ulong Incarnation, [property: Id(3)] bool IsComplete);

/// <summary>An epoch, or why there is none.</summary>
[GenerateSerializer, Immutable, Alias("om.EpochAnswer")]
public sealed record EpochAnswer([property: Id(0)] EpochMessage? Epoch, [property: Id(1)] AnswerMessage? Problem);

/// <summary>A question to a node's service; <see cref="WireJson"/> gives the bytes.</summary>
[GenerateSerializer, Immutable, Alias("om.ServiceQuestion")]
public sealed record ServiceQuestion([property: Id(0)] byte[] Question);

/// <summary>What the service answered; <see cref="WireJson"/> gives the bytes.</summary>
/// <param name="Problem">Why there is no answer.</param>
[GenerateSerializer, Immutable, Alias("om.ServiceAnswer")]
public sealed record ServiceAnswer([property: Id(0)] byte[] Answer, [property: Id(1)] AnswerMessage? Problem = null);
