namespace OrleansMemory.Simulation.Checks;

/// <summary>
/// Follows a set to which elements are only added: of each acknowledged element, whether every read after some moment shows it
/// (stable), none after some moment does (lost), or no read ever did (never read); and of the stable ones, which were missing from
/// a read that began after they were acknowledged (stale). After the set-full checker of Jepsen (Kingsbury).
/// </summary>
public sealed class SetFull
{
    private readonly Dictionary<string, Element> _elements = new(StringComparer.Ordinal);

    public void Added(string element, TimeSpan at) => _elements.TryAdd(element, new() { Known = at });

    public void Read(TimeSpan began, IReadOnlySet<string> elements)
    {
        foreach (var (name, element) in _elements)
        {
            if (elements.Contains(name))
            {
                element.LastPresent = began;
            }
            else if (began > element.Known)
            {
                element.LastAbsent = began;
                element.WasStale = true;
            }
        }
    }

    public SetFullResult Result()
    {
        var result = new SetFullResult(_elements.Count, 0, 0, 0, 0);
        foreach (var element in _elements.Values)
        {
            result = element switch
            {
                { LastPresent: null, LastAbsent: null } => result with { NeverRead = result.NeverRead + 1 },
                { LastPresent: { } present, LastAbsent: var absent } when absent is null || present >= absent =>
                    result with { Stable = result.Stable + 1, Stale = result.Stale + (element.WasStale ? 1 : 0) },
                _ => result with { Lost = result.Lost + 1 },
            };
        }

        return result;
    }

    private sealed class Element
    {
        public TimeSpan Known { get; init; }

        public TimeSpan? LastPresent { get; set; }

        public TimeSpan? LastAbsent { get; set; }

        public bool WasStale { get; set; }
    }
}

public readonly record struct SetFullResult(int Attempted, int Stable, int Lost, int NeverRead, int Stale)
{
    public static SetFullResult operator +(SetFullResult a, SetFullResult b) =>
        new(a.Attempted + b.Attempted, a.Stable + b.Stable, a.Lost + b.Lost, a.NeverRead + b.NeverRead, a.Stale + b.Stale);
}
