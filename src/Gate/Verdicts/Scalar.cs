using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace OrleansMemory.Gate.Verdicts;

/// <summary>What is expected or observed: a number or a word. In JSON it is just that.</summary>
[JsonConverter(typeof(Converter))]
public sealed record Scalar
{
    private Scalar(decimal? number, string? word)
    {
        Number = number;
        Word = word;
    }

    public decimal? Number { get; }

    public string? Word { get; }

    public static implicit operator Scalar(long number) => FromInt64(number);

    public static implicit operator Scalar(decimal number) => FromDecimal(number);

    public static implicit operator Scalar(string word) => FromString(word);

    public static Scalar FromInt64(long number) => new(number, null);

    public static Scalar FromDecimal(decimal number) => new(number, null);

    public static Scalar FromString(string word) => new(null, word);

    public override string ToString() => Number?.ToString(CultureInfo.InvariantCulture) ?? Word!;

    private sealed class Converter : JsonConverter<Scalar>
    {
        public override Scalar Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) => reader.TokenType switch
        {
            JsonTokenType.Number => reader.GetDecimal(),
            JsonTokenType.String => reader.GetString()!,
            var other => throw new JsonException($"a number or a word is wanted, not {other}"),
        };

        public override void Write(Utf8JsonWriter writer, Scalar value, JsonSerializerOptions options)
        {
            if (value.Number is { } number)
            {
                writer.WriteNumberValue(number);
            }
            else
            {
                writer.WriteStringValue(value.Word);
            }
        }
    }
}
