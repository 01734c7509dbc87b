namespace OrleansMemory.Simulation.World;

/// <summary>
/// One life of a process: the scheduler of everything that runs in it. When it dies, at whatever await, nothing of it runs any
/// more; while it is paused, what would run waits.
/// </summary>
public sealed class SimulatedProcess(SimulatedWorld world, string name, long number) : TaskScheduler
{
    private readonly List<Task> _heldTasks = [];
    private readonly List<WorldEvent> _heldEvents = [];
    private readonly List<Action> _onDeath = [];

    public SimulatedWorld World => world;

    public string Name => name;

    public long Number => number;

    public bool IsDead { get; private set; }

    public bool IsPaused { get; private set; }

    /// <summary>It died with the end of its disk: by the time such a machine is back, no request and no answer of this life is on its way any more.</summary>
    public bool IsForgotten { get; set; }

    public override int MaximumConcurrencyLevel => 1;

    /// <summary>Runs something in this process; the task never ends when the process dies first.</summary>
    public Task<T> RunAsync<T>(Func<Task<T>> act) => Task.Factory.StartNew(act, CancellationToken.None, TaskCreationOptions.DenyChildAttach, this).Unwrap();

    /// <summary>Starts something in this process. What it throws is a failure of the run.</summary>
    public void Post(Func<Task> act) => _ = Task.Factory.StartNew(
        async () =>
        {
            try
            {
                await act();
            }
            catch (Exception exception)
            {
                world.Fail($"{name} threw: {exception}");
            }
        },
        CancellationToken.None,
        TaskCreationOptions.DenyChildAttach,
        this);

    public void Die()
    {
        IsDead = true;
        _heldTasks.Clear();
        _heldEvents.Clear();
        foreach (var act in _onDeath)
        {
            act();
        }

        _onDeath.Clear();
    }

    /// <summary>Calls back when the process dies, until the registration is taken back.</summary>
    public void OnDeath(Action act) => _onDeath.Add(act);

    public void ForgetOnDeath(Action act) => _onDeath.Remove(act);

    public void Pause() => IsPaused = true;

    public void Resume()
    {
        IsPaused = false;
        foreach (var happens in _heldEvents)
        {
            world.Schedule(TimeSpan.Zero, this, () =>
            {
                if (!happens.IsCancelled)
                {
                    happens.Happen();
                }
            });
        }

        foreach (var task in _heldTasks)
        {
            world.Enqueue(this, task);
        }

        _heldEvents.Clear();
        _heldTasks.Clear();
    }

    internal void Hold(Task task) => _heldTasks.Add(task);

    internal void Hold(WorldEvent happens) => _heldEvents.Add(happens);

    internal void Run(Task task) => TryExecuteTask(task);

    protected override void QueueTask(Task task)
    {
        if (!IsDead)
        {
            world.Enqueue(this, task);
        }
    }

    /// <summary>Never: whether there is stack left for it depends on how the program was compiled.</summary>
    protected override bool TryExecuteTaskInline(Task task, bool taskWasPreviouslyQueued) => false;

    protected override IEnumerable<Task> GetScheduledTasks() => [];
}
