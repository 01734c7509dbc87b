namespace OrleansMemory.Grains;

/// <summary>A question or an answer between replicas, in the bytes of <see cref="Core.Replication.LinkCodec"/>.</summary>
/// <param name="Problem">Of an answer: why there is none.</param>
[GenerateSerializer, Immutable, Alias("om.LinkMessage")]
public sealed record LinkMessage([property: Id(0)] byte[] Bytes, [property: Id(1)] string? Problem = null);

/// <summary>A write of one namespace; <see cref="WireJson"/> gives the bytes.</summary>
/// <param name="Epoch">The activation that it is decided for; null on the way to it.</param>
[GenerateSerializer, Immutable, Alias("om.WriteMessage")]
public sealed record WriteMessage([property: Id(0)] string Namespace, [property: Id(1)] byte[] Command, [property: Id(2)] EpochMessage? Epoch = null);

/// <summary>What became of a write; <see cref="WireJson"/> gives the bytes.</summary>
/// <param name="IsFenced">The activation that decided is over.</param>
[GenerateSerializer, Immutable, Alias("om.AnswerMessage")]
public sealed record AnswerMessage([property: Id(0)] byte[] Answer, [property: Id(1)] bool IsFenced = false);

/// <summary>An epoch: its stamp in parts.</summary>
[GenerateSerializer, Immutable, Alias("om.EpochMessage")]
public sealed record EpochMessage(
    [property: Id(0)] long Clock, [property: Id(1)] string Node, [property: Id(2)] ulong Incarnation, [property: Id(3)] bool IsComplete);

/// <summary>An epoch, or why there is none.</summary>
[GenerateSerializer, Immutable, Alias("om.EpochAnswer")]
public sealed record EpochAnswer([property: Id(0)] EpochMessage? Epoch, [property: Id(1)] AnswerMessage? Problem);
