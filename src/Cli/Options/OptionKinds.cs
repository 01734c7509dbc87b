using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using System.Numerics;

namespace OrleansMemory.Cli.Options;

/// <summary>Marks an option or argument whose value may begin with a hyphen.</summary>
internal interface IHyphenValue;

internal sealed class HyphenOption(string name, params string[] aliases) : Option<string>(name, aliases), IHyphenValue;

internal sealed class HyphenArgument(string name) : Argument<string>(name), IHyphenValue;

/// <summary>The kinds of options that commands are made of.</summary>
internal static class OptionKinds
{
    public static Option<bool> Flag(string description, string name, params string[] aliases) =>
        new(name, aliases) { Description = description, Arity = ArgumentArity.Zero };

    public static Option<string?> Text(string description, string name, params string[] aliases) =>
        new(name, aliases) { Description = description, Arity = ArgumentArity.ExactlyOne };

    /// <summary>May be given several times.</summary>
    public static Option<string[]> Texts(string description, string name, params string[] aliases) =>
        new(name, aliases) { Description = description, Arity = ArgumentArity.OneOrMore, AllowMultipleArgumentsPerToken = false };

    public static HyphenOption FreeText(string description, string name, params string[] aliases) =>
        new(name, aliases) { Description = description, Arity = ArgumentArity.ExactlyOne };

    /// <summary>A number within bounds; anything else is wrong usage.</summary>
    public static Option<T?> Number<T>(string description, T minimum, T maximum, string name, params string[] aliases)
        where T : struct, INumber<T> => new(name, aliases)
        {
            Description = description,
            Arity = ArgumentArity.ExactlyOne,
            CustomParser = result => Parse(result, name, minimum, maximum),
        };

    /// <summary>Comma list, each part trimmed, empty ones dropped.</summary>
    public static IReadOnlyList<string> List(string text) =>
        text.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);

    private static T? Parse<T>(ArgumentResult result, string name, T minimum, T maximum)
        where T : struct, INumber<T>
    {
        var text = result.Tokens[0].Value;
        if (!T.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var number))
        {
            result.AddError($"invalid value '{text}' for '{name}': not a number");
        }
        else if (number < minimum || number > maximum)
        {
            result.AddError(string.Create(CultureInfo.InvariantCulture, $"invalid value '{text}' for '{name}': not between {minimum} and {maximum}"));
        }
        else
        {
            return number;
        }

        return null;
    }
}
