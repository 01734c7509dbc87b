using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Cli.Bench;

/// <param name="Speaker">Who said it.</param>
/// <param name="At">When its session began, and a second later for each turn before it.</param>
internal sealed record LocomoTurn(string Id, string Speaker, int Session, int Number, string Text, Timestamp At);

/// <param name="Category">1 multi-hop, 2 temporal, 3 open-domain, 4 single-hop.</param>
/// <param name="Evidence">Turns that hold the answer; used to judge alone.</param>
internal sealed record LocomoQuestion(string Text, int Category, IReadOnlySet<string> Evidence);

internal sealed record LocomoConversation(string Name, IReadOnlyList<LocomoTurn> Turns, IReadOnlyList<LocomoQuestion> Questions);

/// <summary>
/// Reads the file of LoCoMo (Maharana et al., ACL 2024): sessions of turns, and questions with the turns that answer them. Questions of
/// category 5, which have no answer, and those without evidence are left out. Answers are not read.
/// </summary>
internal static partial class LocomoData
{
    private const int Unanswerable = 5;

    /// <exception cref="MemoryException"><see cref="ErrorKind.MalformedRequest"/>: it cannot be read, or has another form.</exception>
    public static IReadOnlyList<LocomoConversation> Read(string path)
    {
        try
        {
            using var stream = File.OpenRead(path);
            using var document = JsonDocument.Parse(stream);
            return [.. document.RootElement.EnumerateArray().Select(Conversation)];
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException or KeyNotFoundException or FormatException)
        {
            throw new MemoryException(ErrorKind.MalformedRequest, $"{path} is not a file of LoCoMo conversations: {exception.Message}", exception);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new MemoryException(ErrorKind.MalformedRequest, $"{path} cannot be read: {exception.Message}", exception);
        }
    }

    private static LocomoConversation Conversation(JsonElement sample)
    {
        var conversation = sample.GetProperty("conversation");
        var turns = new List<LocomoTurn>();
        for (var session = 1; conversation.TryGetProperty($"session_{session}_date_time", out var date); session++)
        {
            if (!conversation.TryGetProperty($"session_{session}", out var said))
            {
                continue;
            }

            var began = Timestamp.FromDateTimeOffset(DateTimeOffset.ParseExact(
                date.GetString()!, "h:mm tt 'on' d MMMM, yyyy", CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal | DateTimeStyles.AllowWhiteSpaces));
            var number = 0;
            foreach (var turn in said.EnumerateArray())
            {
                var text = turn.GetProperty("text").GetString()!;

                // What a picture shows is part of what was said.
                var caption = turn.TryGetProperty("blip_caption", out var shown) ? shown.GetString() : null;
                turns.Add(new(
                    turn.GetProperty("dia_id").GetString()!,
                    turn.GetProperty("speaker").GetString()!,
                    session,
                    ++number,
                    caption is null ? text : $"{text} [{caption}]",
                    began.AddSeconds(number)));
            }
        }

        var known = turns.Select(static turn => turn.Id).ToHashSet(StringComparer.Ordinal);
        var questions = sample.GetProperty("qa").EnumerateArray()
            .Select(static question => (Text: question.GetProperty("question"), Category: question.GetProperty("category").GetInt32(), Evidence: question.GetProperty("evidence")))
            .Where(static question => question.Category < Unanswerable)
            .Select(question => new LocomoQuestion(question.Text.GetString()!, question.Category, Evidence(question.Evidence, known)))
            .Where(static question => question.Evidence.Count > 0);
        return new(sample.GetProperty("sample_id").GetString()!, turns, [.. questions]);
    }

    /// <summary>Some entries name several turns at once.</summary>
    private static HashSet<string> Evidence(JsonElement evidence, HashSet<string> known) =>
        [.. evidence.EnumerateArray().SelectMany(static entry => TurnId().Matches(entry.GetString()!)).Select(static match => match.Value).Where(known.Contains)];

    [GeneratedRegex(@"D\d+:\d+", RegexOptions.None, matchTimeoutMilliseconds: 1_000)]
    private static partial Regex TurnId();
}
