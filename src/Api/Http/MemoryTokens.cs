using Microsoft.AspNetCore.Http;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Api.Http;

/// <summary>
/// The tokens that the last answers to each caller carried, so that a caller that sends none back reads its own writes all the
/// same. Bounded: the caller that was silent longest is forgotten first. A caller is an agent id; all share the node's one key.
/// </summary>
internal sealed class MemoryTokens
{
    public const string Header = "X-Memory-Token";

    private const int Callers = 10_000;

    /// <summary>Logs that one caller is remembered with: the newest.</summary>
    private const int LogsOfCaller = 4;

    private readonly Lock _gate = new();
    private readonly Dictionary<string, LinkedListNode<Remembered>> _byCaller = new(StringComparer.Ordinal);
    private readonly LinkedList<Remembered> _recent = [];

    public int Count
    {
        get
        {
            lock (_gate)
            {
                return _byCaller.Count;
            }
        }
    }

    /// <summary>The token that the request carries; null when it carries none.</summary>
    /// <exception cref="MemoryException"><see cref="ErrorKind.InvalidToken"/></exception>
    public static LogPosition? Sent(HttpContext context)
    {
        var values = context.Request.Headers[Header];
        return values.Count switch
        {
            0 => null,
            1 when LogPosition.TryParse(values[0]!, out var token) => token,
            _ => throw new MemoryException(ErrorKind.InvalidToken, $"{Header} must be one token as an answer gave it"),
        };
    }

    /// <summary>An answer whose head has gone out is remembered all the same.</summary>
    public static void Answer(HttpContext context, LogPosition token)
    {
        if (context.Response.HasStarted)
        {
            context.Features.Set(new Late(token));
        }
        else
        {
            context.Response.Headers[Header] = token.ToString();
        }
    }

    /// <summary>What the caller has seen, as far as is remembered.</summary>
    public IReadOnlyList<LogPosition> Of(HttpContext context)
    {
        lock (_gate)
        {
            return _byCaller.TryGetValue(CallerOf(context), out var node) ? node.Value.Tokens : [];
        }
    }

    /// <summary>Remembers the token that was answered, or else the one that was sent and waited for.</summary>
    public void Remember(HttpContext context, LogPosition? sent)
    {
        var answered = context.Response.Headers[Header];
        if ((context.Features.Get<Late>()?.Token ?? (answered.Count == 1 && LogPosition.TryParse(answered[0]!, out var token) ? token : sent)) is not { } seen)
        {
            return;
        }

        var caller = CallerOf(context);
        lock (_gate)
        {
            if (_byCaller.TryGetValue(caller, out var node))
            {
                node.Value = node.Value with { Tokens = With(node.Value.Tokens, seen) };
                _recent.Remove(node);
                _recent.AddFirst(node);
                return;
            }

            _byCaller[caller] = _recent.AddFirst(new Remembered(caller, [seen]));
            if (_byCaller.Count > Callers)
            {
                _byCaller.Remove(_recent.Last!.Value.Caller);
                _recent.RemoveLast();
            }
        }
    }

    private static LogPosition[] With(LogPosition[] tokens, LogPosition seen)
    {
        var held = Array.FindIndex(tokens, token => token.Log == seen.Log);
        if (held >= 0)
        {
            return tokens[held].Sequence >= seen.Sequence ? tokens : [seen, .. tokens.Where((_, index) => index != held)];
        }

        return [seen, .. tokens.Take(LogsOfCaller - 1)];
    }

    private static string CallerOf(HttpContext context) => CallerServices.PrincipalOf(context)?.AgentId ?? context.Request.Headers["X-Agent-Id"].ToString();

    private sealed record Remembered(string Caller, LogPosition[] Tokens);

    private sealed record Late(LogPosition Token);
}
