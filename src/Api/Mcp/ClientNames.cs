using System.Globalization;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Api.Mcp;

/// <summary>Callers that gave no agent id, named after the client program that they use.</summary>
public static class ClientNames
{
    private const int MostCharacters = 40;
    private const string Prefix = "ai:";
    private const string SessionMark = ":session-";

    /// <summary><c>ai:</c> and the client's name, in the characters of an agent id.</summary>
    public static string Of(string client)
    {
        var name = string.Concat(client.Select(static character => char.IsAsciiLetterOrDigit(character) || character is '-' or '_' or '.' ? character : '-')).Trim('-');
        return Prefix + (name.Length == 0 ? "client" : name.Length <= MostCharacters ? name : name[..MostCharacters]);
    }

    /// <summary>
    /// The id of a new session over HTTP: the name that its caller has where it gives no other. So the node keeps nothing of a session, and any node goes on
    /// with it. It is a claim, as a header with a name is.
    /// </summary>
    internal static string NewSession(string? client) =>
        string.Create(CultureInfo.InvariantCulture, $"{Of(client ?? "")}{SessionMark}{(uint)Random.Shared.NextInt64(1L << 32):x8}");

    /// <returns>Null: no node has made it.</returns>
    internal static string? OfSession(string session)
    {
        if (!session.StartsWith(Prefix, StringComparison.Ordinal) || !session.Contains(SessionMark, StringComparison.Ordinal))
        {
            return null;
        }

        try
        {
            return MemoryRules.AgentId(session);
        }
        catch (MemoryException)
        {
            return null;
        }
    }
}
