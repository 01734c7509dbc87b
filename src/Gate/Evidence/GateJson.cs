using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace OrleansMemory.Gate.Evidence;

/// <summary>How evidence is written: names in snake case; one that is unknown or missing is refused when it is read.</summary>
internal static class GateJson
{
    /// <summary>Of ledgers: what is null is left out.</summary>
    public static readonly JsonSerializerOptions Lines = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        DictionaryKeyPolicy = null,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
        UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
        RespectNullableAnnotations = true,
        RespectRequiredConstructorParameters = true,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    public static readonly JsonSerializerOptions Documents = new(Lines) { DefaultIgnoreCondition = JsonIgnoreCondition.Never, WriteIndented = true };
}
