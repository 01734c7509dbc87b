namespace OrleansMemory.Gate;

/// <summary>The gate itself cannot go on: a program that is missing, a port that is taken, evidence that cannot be read. The text tells what to do.</summary>
public sealed class GateException(string message, Exception? inner = null) : Exception(message, inner);
