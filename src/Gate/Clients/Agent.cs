using System.Text.Json.Nodes;
using OrleansMemory.Gate.Ledgers;

namespace OrleansMemory.Gate.Clients;

/// <summary>One client: it makes memories, and changes and reads its own, one request after the other.</summary>
/// <param name="withToken">
/// It sends the token of its last acknowledged write to the memory that it asks for, with a create that of its last one at all, and may so ask
/// any node; else it stays with one for each memory.
/// </param>
/// <param name="quorum">Nodes that must hold a write, as the header asks for it; null: as the nodes are set.</param>
internal sealed class Agent(Traffic traffic, int cycle, string name, string @namespace, bool withToken, string? quorum = null)
{
    /// <summary>Memories to be deleted later.</summary>
    public const int Stock = 8;

    private const string Mid = "mid";

    private readonly List<Owned> _owned = [];
    private readonly Dictionary<string, string> _tokens = new(StringComparer.Ordinal);
    private Owned? _deleted;
    private string? _token;
    private int _made;

    /// <summary>Makes a memory on a node.</summary>
    /// <returns>What became of it.</returns>
    public Task<Operation> CreateAsync(int node)
    {
        var title = $"{@namespace}-{name}-{_made++}";
        var content = $"{title} as it was made";
        var body = new JsonObject { ["title"] = title, ["content"] = content, ["namespace"] = @namespace, ["tier"] = Mid, ["priority"] = 5, ["confidence"] = 1.0, ["source"] = "api" };
        return SendAsync(new(cycle, name, Operations.Create, title, Content: content), node, "/api/v1/memories", HttpMethod.Post, body);
    }

    /// <summary>Changes its newest memory, or reads what it changed, or makes another, each in turn.</summary>
    /// <param name="turn">Counts its requests.</param>
    /// <param name="node">Where a client with a token asks.</param>
    public async Task NextAsync(int turn, int node)
    {
        if (_owned.Count == 0)
        {
            await CreateAsync(node);
            return;
        }

        var memory = _owned[^1];
        var place = withToken ? node : memory.Node;
        switch (turn % 8)
        {
            case 0 or 3:
                await CreateAsync(node);
                break;
            case 2 or 5 when withToken:
                await ReadAsync(memory, place);
                break;
            case 4:
                await PromoteAsync(memory, place);
                break;
            case 6 when _owned.Count > 1:
                await DeleteAsync(_owned[0], withToken ? node : _owned[0].Node);
                break;
            default:
                await UpdateAsync(memory, place, turn);
                break;
        }
    }

    /// <summary>Makes a stock of memories, then deletes and makes by turns; with a token it also reads what it deleted.</summary>
    public Task NextDeleteAsync(int turn, int node) => (turn % 4) switch
    {
        0 or 2 when turn >= Stock && _owned.Count > 0 => DeleteAsync(_owned[0], withToken ? node : _owned[0].Node),
        3 when withToken && _deleted is { } deleted => ReadAsync(deleted, node),
        _ => CreateAsync(node),
    };

    /// <summary>The memories that it made and did not ask to delete: title, id and the node that made them.</summary>
    public IReadOnlyList<Owned> Owns => _owned;

    public Task<Operation> UpdateAsync(Owned memory, int node, int turn)
    {
        var content = $"{memory.Title} in turn {turn}";
        return SendAsync(new(cycle, name, Operations.Update, memory.Title, memory.Id, content), node, Path(memory), HttpMethod.Put, new() { ["content"] = content });
    }

    public Task<Operation> PromoteAsync(Owned memory, int node) => SendAsync(new(cycle, name, Operations.Promote, memory.Title, memory.Id), node, $"{Path(memory)}/promote", HttpMethod.Post, null);

    public Task<Operation> DeleteAsync(Owned memory, int node)
    {
        // Whatever becomes of it, it is no memory to go on with.
        _owned.Remove(memory);
        _deleted = memory;
        return SendAsync(new(cycle, name, Operations.Delete, memory.Title, memory.Id), node, Path(memory), HttpMethod.Delete, null);
    }

    public Task<Operation> ReadAsync(Owned memory, int node) => SendAsync(new(cycle, name, Operations.Read, memory.Title, memory.Id), node, Path(memory), HttpMethod.Get, null);

    private static string Path(Owned memory) => $"/api/v1/memories/{Uri.EscapeDataString(memory.Id)}";

    private async Task<Operation> SendAsync(Request request, int node, string path, HttpMethod method, JsonObject? body)
    {
        // A token names one place in one node's log: it says nothing of what the client wrote through another node.
        var sent = withToken ? _tokens.GetValueOrDefault(request.Title) ?? _token : null;
        var (operation, id, token) = await traffic.SendAsync(request, node, path, method, body, sent, quorum);
        if (operation is { Outcome: Outcome.Acked, Op: not Operations.Read } && token is not null)
        {
            _tokens[request.Title] = _token = token;
        }

        if (operation is { Outcome: Outcome.Acked, Op: Operations.Create } && id is not null)
        {
            _owned.Add(new(request.Title, id, node));
        }

        return operation;
    }

    internal sealed record Owned(string Title, string Id, int Node);
}
