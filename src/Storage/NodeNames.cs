namespace OrleansMemory.Storage;

/// <summary>The name of a node that was given none.</summary>
internal static class NodeNames
{
    /// <summary>The machine's, as far as it fits in a node id.</summary>
    public static string OfMachine()
    {
        var name = new string([.. Environment.MachineName.Where(static character => char.IsAsciiLetterOrDigit(character) || character is '-' or '.')]);
        return name.Length is 0 or > 64 ? "node" : name;
    }
}
