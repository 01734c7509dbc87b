namespace OrleansMemory.Api.Models;

/// <summary>How a model is spoken to.</summary>
public enum ModelApi
{
    /// <summary>As OpenAI's API: <c>embeddings</c> and <c>chat/completions</c> below the address, which ends in <c>/v1</c> as a rule.</summary>
    OpenAi,

    /// <summary>As Ollama: <c>api/embed</c> and <c>api/chat</c> below the address.</summary>
    Ollama,
}

/// <summary>One model behind an address.</summary>
/// <param name="Address">http or https.</param>
/// <param name="Model">The name that the server knows it by.</param>
/// <param name="Key">Sent as a bearer token; null: none.</param>
public sealed record ModelEndpoint(Uri Address, ModelApi Api, string Model, string? Key = null)
{
    /// <summary>An address that ends in <c>/v1</c> is one of OpenAI's kind, any other an Ollama's.</summary>
    public static ModelApi ApiOf(Uri address) => address.AbsolutePath.TrimEnd('/').EndsWith("/v1", StringComparison.Ordinal) ? ModelApi.OpenAi : ModelApi.Ollama;

    /// <summary>Without the key.</summary>
    public override string ToString() => $"{Model} at {Address.GetLeftPart(UriPartial.Path)}";
}
