using System.Diagnostics;

namespace OrleansMemory.Simulation.World;

/// <summary>
/// A world in one thread and in virtual time. It owns every continuation and every timer: what is ready runs in an order drawn from
/// the seed, and time passes only when nothing is ready.
/// </summary>
public sealed class SimulatedWorld
{
    /// <summary>
    /// What one continuation asks of clock and disk, as far as a continuation that ends does: thousands at most. Beyond it, it goes round in circles.
    /// </summary>
    private const int MostQuestions = 1_000_000;

    private readonly PriorityQueue<WorldEvent, (long At, long Number)> _events = new();
    private readonly List<(SimulatedProcess Process, Task Task)> _ready = [];
    private readonly int _thread = Environment.CurrentManagedThreadId;
    private readonly int _window;
    private TraceHash _trace = new();
    private long _numbers;
    private long _steps;
    private int _questions;

    /// <param name="window">Of so many continuations that wait longest, a random one runs next; 1 keeps their order.</param>
    public SimulatedWorld(Random random, int window)
    {
        Random = random;
        _window = window;
    }

    /// <summary>The source of everything that happens by chance.</summary>
    public Random Random { get; }

    /// <summary>Since the beginning.</summary>
    public TimeSpan Now { get; private set; }

    /// <summary>Continuations run so far.</summary>
    public long Steps => _steps;

    public ulong Trace => _trace.Value;

    /// <summary>What went wrong first; null while nothing did.</summary>
    public string? Failure { get; private set; }

    /// <summary>Lines for people, when they are wanted.</summary>
    public Action<string>? Log { get; set; }

    public void Fail(string what)
    {
        Failure ??= what;
        Log?.Invoke($"{Now.TotalSeconds,10:F4} FAILED {what}");
    }

    public void Record(long word) => _trace.Add(word);

    public void Record(ReadOnlySpan<byte> bytes) => _trace.Add(bytes);

    public void Record(string text)
    {
        _trace.Add(text);
        Log?.Invoke($"{Now.TotalSeconds,10:F4} {text}");
    }

    /// <summary>Calls back after a while, on nobody's account.</summary>
    public void After(TimeSpan delay, Action act) => Schedule(delay, process: null, act);

    /// <summary>True with the given probability.</summary>
    public bool Chance(double probability) => probability > 0 && Random.NextDouble() < probability;

    public TimeSpan Between(double leastMilliseconds, double mostMilliseconds) =>
        TimeSpan.FromTicks((long)((leastMilliseconds + ((mostMilliseconds - leastMilliseconds) * Random.NextDouble())) * TimeSpan.TicksPerMillisecond));

    /// <summary>Runs until the task ends, something failed, or nothing can happen any more.</summary>
    /// <param name="mostSteps">Continuations and events, more than any run needs: beyond it something goes round in circles.</param>
    public void RunUntil(Task task, long mostSteps)
    {
        for (var steps = 0L; !task.IsCompleted && Failure is null; steps++)
        {
            _questions = 0;
            if (steps == mostSteps)
            {
                Fail($"the run has not ended after {mostSteps} steps");
            }
            else if (_ready.Count > 0)
            {
                RunReady();
            }
            else if (!NextEvent())
            {
                Fail("nothing is left that could happen, and the run has not ended");
            }
        }

        if (task.IsFaulted)
        {
            Fail($"the run broke: {task.Exception.InnerException}");
        }
    }

    /// <summary>A continuation asks its clock or its disk for something. What never waits does so without end, and no other step would ever be taken.</summary>
    /// <exception cref="EndlessContinuationException">To end it.</exception>
    internal void Ask()
    {
        if (++_questions > MostQuestions)
        {
            var endless = new EndlessContinuationException($"one continuation asked its clock and disk {MostQuestions} times and has not ended");
            Fail($"{endless.Message}: {Environment.StackTrace}");
            throw endless;
        }
    }

    internal WorldEvent Schedule(TimeSpan delay, SimulatedProcess? process, Action act)
    {
        RequireThread();
        var happens = new WorldEvent(process, act);
        _events.Enqueue(happens, ((Now + (delay > TimeSpan.Zero ? delay : TimeSpan.Zero)).Ticks, _numbers++));
        return happens;
    }

    internal void Enqueue(SimulatedProcess process, Task task)
    {
        RequireThread(task);
        _ready.Add((process, task));
    }

    private void RunReady()
    {
        var index = _window <= 1 || _ready.Count == 1 ? 0 : Random.Next(Math.Min(_window, _ready.Count));
        var (process, task) = _ready[index];
        _ready.RemoveAt(index);
        if (process.IsDead)
        {
            return;
        }

        if (process.IsPaused)
        {
            process.Hold(task);
            return;
        }

        _steps++;
        _trace.Add((process.Number << 48) ^ Now.Ticks);
        process.Run(task);
    }

    private bool NextEvent()
    {
        if (!_events.TryDequeue(out var happens, out var when))
        {
            return false;
        }

        Debug.Assert(when.At >= Now.Ticks, "time runs forward");
        if (happens.IsCancelled || happens.Process is { IsDead: true })
        {
            return true;
        }

        Now = TimeSpan.FromTicks(when.At);
        if (happens.Process is { IsPaused: true } paused)
        {
            paused.Hold(happens);
            return true;
        }

        happens.Happen();
        return true;
    }

    /// <summary>A continuation that comes from elsewhere has left the scheduler, and no run with it can be had again.</summary>
    private void RequireThread(Task? task = null)
    {
        if (Environment.CurrentManagedThreadId != _thread)
        {
            Fail($"a continuation of {(task?.AsyncState as Delegate)?.Target} escaped the scheduler: {Environment.StackTrace}");
        }
    }
}

/// <summary>Something that will happen, unless it is cancelled or its process dies before.</summary>
internal sealed class WorldEvent(SimulatedProcess? process, Action act)
{
    public SimulatedProcess? Process => process;

    public bool IsCancelled { get; private set; }

    public void Cancel() => IsCancelled = true;

    public void Happen()
    {
        IsCancelled = true;
        act();
    }
}

/// <summary>A continuation goes round in circles.</summary>
public sealed class EndlessContinuationException(string message) : Exception(message);
