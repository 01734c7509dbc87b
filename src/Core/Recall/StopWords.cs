using System.Collections.Frozen;

namespace OrleansMemory.Core.Recall;

/// <summary>English words that say how a question is put and not what it is about.</summary>
internal static class StopWords
{
    private static readonly FrozenSet<string> Words = """
        a about after all also am an and any are as at be because been before being but by can could did do does doing for from had has have
        having he her hers him his how i if in into is it its just me my of on or our ours please she should so some such than that the their
        theirs them then there these they this those to too us was we were what when where which while who whom whose why will with would you
        your yours
        """.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries).ToFrozenSet(StringComparer.OrdinalIgnoreCase);

    public static bool Contains(string word) => Words.Contains(word);
}
