using OrleansMemory.Core;
using OrleansMemory.Core.Memories;
using OrleansMemory.Simulation.Checks;

namespace OrleansMemory.Simulation.Workload;

/// <summary>What the callers of a run know together: ids that they were told of, requests that can be sent again, and histories.</summary>
internal sealed class SharedKnowledge
{
    private readonly List<(string Id, string Version)> _ids = [];

    public SharedKnowledge(int nodes) => Registers = [.. Enumerable.Range(0, 3).Select(number => new Register($"register {number}", number % nodes))];

    public SetFull Set { get; } = new();

    /// <summary>Elements that were acknowledged.</summary>
    public List<string> Elements { get; } = [];

    /// <summary>Requests with a key, the node that was asked first, and the id that it answered with.</summary>
    public List<(string Node, MemoryDraft Draft, WriteContext Context, string? Id)> Retryable { get; } = [];

    public IReadOnlyList<Register> Registers { get; }

    public void Remember(string id, string version)
    {
        var index = _ids.FindIndex(known => known.Id == id);
        if (index >= 0)
        {
            _ids[index] = (id, version);
        }
        else
        {
            _ids.Add((id, version));
        }
    }

    /// <summary>Some id; the newest ones are asked for most.</summary>
    public (string Id, string Version)? Pick(Random random)
    {
        var draw = random.NextDouble();
        return _ids.Count == 0 ? null : _ids[^(1 + (int)(draw * draw * _ids.Count))];
    }
}

/// <summary>A memory that all callers ask one node about.</summary>
internal sealed class Register(string title, int node)
{
    public const int Most = 100;

    private readonly List<HistoryStep<RegisterState>> _history = [];

    public string Title => title;

    public int Node => node;

    public IReadOnlyList<HistoryStep<RegisterState>> History => _history;

    /// <summary>What was last seen of it; null when that is gone or unknown.</summary>
    public RegisterSight? Seen { get; set; }

    /// <param name="ended">Null: it may still happen, or never.</param>
    /// <param name="isNothing">It was refused before it could happen.</param>
    public void Add(TimeSpan began, TimeSpan? ended, bool isNothing, string name, Func<RegisterState, StepResult<RegisterState>> step)
    {
        if (!isNothing)
        {
            _history.Add(new(began, ended, step, name));
        }
    }
}

internal sealed record RegisterSight(string Id, string Version, string Content);

/// <summary>The memory of a register's title.</summary>
/// <param name="Id">Null: there is none. <see cref="SomeId"/>: one that nobody was told.</param>
internal readonly record struct RegisterState(string? Id, string? Content)
{
    public const string SomeId = "?";

    public bool MayBe(string id) => Id == id || Id == SomeId;

    public bool IsSurely(string id) => Id == id;
}
