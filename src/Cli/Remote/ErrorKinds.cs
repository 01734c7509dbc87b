using System.Collections.Frozen;
using System.Reflection;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Cli.Remote;

/// <summary>Finds the kind of an error that a node answered with.</summary>
internal static class ErrorKinds
{
    private static readonly Lazy<FrozenDictionary<string, ErrorKind>> Known = new(() => typeof(ErrorKind)
        .GetFields(BindingFlags.Public | BindingFlags.Static)
        .Where(field => field.FieldType == typeof(ErrorKind))
        .Select(field => (ErrorKind)field.GetValue(null)!)
        .ToFrozenDictionary(kind => kind.Code));

    /// <summary>By machine code; a code from a newer node keeps its name; without a code the status decides.</summary>
    public static ErrorKind Of(string? code, int status) =>
        code is not null ? Known.Value.GetValueOrDefault(code) ?? new(code, status)
        : status switch
        {
            401 => ErrorKind.Unauthorized,
            404 => ErrorKind.NotFound,
            409 => ErrorKind.TitleTaken,
            412 => ErrorKind.PreconditionFailed,
            413 => ErrorKind.BodyTooLarge,
            503 => ErrorKind.Overloaded,
            _ => new($"http_{status}", status),
        };
}
