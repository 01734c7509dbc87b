namespace OrleansMemory.Simulation.Workload;

/// <summary>Independent streams of chance from one seed, so that leaving one thing out of a run changes no other's.</summary>
public static class Seeds
{
    public static Random Stream(long seed, string purpose, int index = 0)
    {
        // splitmix64 (Steele, Lea and Flood, 2014) over seed, purpose and index.
        var state = (ulong)seed;
        foreach (var unit in purpose)
        {
            state = Mix(state + unit);
        }

        return new Random((int)(Mix(state + (ulong)(uint)index) >> 33));
    }

    private static ulong Mix(ulong word)
    {
        word += 0x9E3779B97F4A7C15;
        word = (word ^ (word >> 30)) * 0xBF58476D1CE4E5B9;
        word = (word ^ (word >> 27)) * 0x94D049BB133111EB;
        return word ^ (word >> 31);
    }
}
