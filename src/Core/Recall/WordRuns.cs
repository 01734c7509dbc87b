namespace OrleansMemory.Core.Recall;

/// <summary>The words of a text, taken lightly: runs of letters and digits. What is searched for goes by the tokens of the index instead.</summary>
internal static class WordRuns
{
    /// <param name="shortest">Characters that a word has at least.</param>
    public static IEnumerable<string> Of(string text, int shortest)
    {
        var start = -1;
        for (var at = 0; at <= text.Length; at++)
        {
            var isWord = at < text.Length && char.IsLetterOrDigit(text[at]);
            if (isWord && start < 0)
            {
                start = at;
            }
            else if (!isWord && start >= 0)
            {
                if (at - start >= shortest)
                {
                    yield return text[start..at];
                }

                start = -1;
            }
        }
    }
}
