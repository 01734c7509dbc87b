using System.Runtime.CompilerServices;
using Microsoft.Extensions.AI;

namespace OrleansMemory.Api.Models;

/// <summary>A text model behind an address: one whole answer to each request.</summary>
/// <param name="timeout">For one request.</param>
public sealed class RemoteChat(ModelEndpoint endpoint, TimeSpan timeout) : IChatClient
{
    private readonly ModelConnection _connection = new(endpoint, timeout);
    private readonly ChatClientMetadata _metadata = new(endpoint.Api.ToString(), endpoint.Address, endpoint.Model);

    /// <exception cref="HttpRequestException">The server cannot be reached, refuses, or answers something else.</exception>
    public async Task<ChatResponse> GetResponseAsync(IEnumerable<ChatMessage> messages, ChatOptions? options = null, CancellationToken cancellationToken = default)
    {
        var isOpenAi = endpoint.Api == ModelApi.OpenAi;
        using var answer = await _connection.PostAsync(
            isOpenAi ? "chat/completions" : "api/chat",
            writer =>
            {
                writer.WriteStartObject();
                writer.WriteString("model", endpoint.Model);
                writer.WriteBoolean("stream", false);
                writer.WriteStartArray("messages");
                foreach (var message in messages)
                {
                    writer.WriteStartObject();
                    writer.WriteString("role", message.Role.Value);
                    writer.WriteString("content", message.Text);
                    writer.WriteEndObject();
                }

                writer.WriteEndArray();
                if (options?.Temperature is { } temperature)
                {
                    if (isOpenAi)
                    {
                        writer.WriteNumber("temperature", temperature);
                    }
                    else
                    {
                        writer.WriteStartObject("options");
                        writer.WriteNumber("temperature", temperature);
                        writer.WriteEndObject();
                    }
                }

                writer.WriteEndObject();
            },
            cancellationToken);
        try
        {
            var message = isOpenAi ? answer.RootElement.GetProperty("choices")[0].GetProperty("message") : answer.RootElement.GetProperty("message");
            return new(new ChatMessage(ChatRole.Assistant, message.GetProperty("content").GetString() ?? "")) { ModelId = endpoint.Model };
        }
        catch (Exception exception) when (exception is InvalidOperationException or KeyNotFoundException or IndexOutOfRangeException)
        {
            throw ModelConnection.Unexpected(answer, exception);
        }
    }

    /// <summary>The whole answer as one piece.</summary>
    public async IAsyncEnumerable<ChatResponseUpdate> GetStreamingResponseAsync(
        IEnumerable<ChatMessage> messages, ChatOptions? options = null, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        foreach (var update in (await GetResponseAsync(messages, options, cancellationToken)).ToChatResponseUpdates())
        {
            yield return update;
        }
    }

    public object? GetService(Type serviceType, object? serviceKey = null) =>
        serviceKey is not null ? null
        : serviceType == typeof(ChatClientMetadata) ? _metadata
        : serviceType.IsInstanceOfType(this) ? this
        : null;

    public void Dispose() => _connection.Dispose();
}
