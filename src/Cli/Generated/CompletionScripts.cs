using System.CommandLine;
using System.Text;

namespace OrleansMemory.Cli.Generated;

/// <summary>Completion scripts of five shells, from the tree of commands: commands, those below them, options, and files where an option takes a value.</summary>
internal static class CompletionScripts
{
    public static IReadOnlyList<string> Shells { get; } = ["bash", "elvish", "fish", "powershell", "zsh"];

    /// <returns>Null: no such shell.</returns>
    public static string? Of(string shell, Command root) => shell switch
    {
        "bash" => Bash(root),
        "zsh" => Zsh(root),
        "fish" => Fish(root),
        "elvish" => Elvish(root),
        "powershell" => PowerShell(root),
        _ => null,
    };

    private static string Bash(Command root)
    {
        var (name, outline) = (root.Name, CommandOutline.Of(root));
        var function = Function(name);
        var script = new StringBuilder();
        script.Append($$"""
            {{function}}() {
                local cur prev path i
                COMPREPLY=()
                cur=${COMP_WORDS[COMP_CWORD]}
                prev=${COMP_WORDS[COMP_CWORD-1]}
                path={{name}}
                for ((i = 1; i < COMP_CWORD; i++)); do
                    case "$path ${COMP_WORDS[i]}" in

            """.ReplaceLineEndings("\n"));
        script.Append($"            {string.Join('|', outline.Skip(1).Select(static command => $"\"{command.Name}\""))}) path=\"$path ${{COMP_WORDS[i]}}\" ;;\n");
        script.Append("        esac\n    done\n    case \"$prev\" in\n");
        script.Append($"        {string.Join('|', ValueNames(root, outline))}) COMPREPLY=($(compgen -f -- \"$cur\")); return ;;\n");
        script.Append("    esac\n    case \"$path\" in\n");
        foreach (var command in outline)
        {
            script.Append($"        \"{command.Name}\") COMPREPLY=($(compgen -W \"{string.Join(' ', Words(root, command))}\" -- \"$cur\")) ;;\n");
        }

        return script.Append($"    esac\n}}\n\ncomplete -o default -o bashdefault -F {function} {name}\n").ToString();
    }

    private static string Zsh(Command root)
    {
        var (name, outline) = (root.Name, CommandOutline.Of(root));
        var function = Function(name);
        var script = new StringBuilder();

        // Not "path": to zsh that is the search path.
        script.Append($$"""
            #compdef {{name}}

            {{function}}() {
                local chosen={{name}} i
                local -a known
                for ((i = 2; i < CURRENT; i++)); do
                    case "$chosen ${words[i]}" in

            """.ReplaceLineEndings("\n"));
        script.Append($"            {string.Join('|', outline.Skip(1).Select(static command => $"\"{command.Name}\""))}) chosen=\"$chosen ${{words[i]}}\" ;;\n");
        script.Append("        esac\n    done\n    case \"${words[CURRENT-1]}\" in\n");
        script.Append($"        {string.Join('|', ValueNames(root, outline))}) _files; return ;;\n");
        script.Append("    esac\n    case \"$chosen\" in\n");
        foreach (var command in outline)
        {
            script.Append($"        \"{command.Name}\") known=(");
            foreach (var (word, about) in Described(root, command))
            {
                script.Append($"\n            '{word.Replace(":", "\\:", StringComparison.Ordinal)}:{Single(about)}'");
            }

            script.Append(") ;;\n");
        }

        return script.Append($"    esac\n    _describe -t commands '{name}' known || _files\n}}\n\nif [ \"$funcstack[1]\" = \"{function}\" ]; then\n    {function} \"$@\"\nelse\n    compdef {function} {name}\nfi\n").ToString();
    }

    private static string Fish(Command root)
    {
        var (name, outline) = (root.Name, CommandOutline.Of(root));
        var function = $"_{Function(name)}_path";
        var script = new StringBuilder();
        script.Append($$"""
            function {{function}}
                set -l chosen {{name}}
                for word in (commandline -opc)[2..-1]
                    if contains -- "$chosen $word" {{string.Join(' ', outline.Skip(1).Select(static command => $"'{command.Name}'"))}}
                        set chosen "$chosen $word"
                    end
                end
                echo $chosen
            end


            """.ReplaceLineEndings("\n"));
        foreach (var option in CommandOutline.Globals(root))
        {
            script.Append($"complete -c {name}{FishOption(option)}\n");
        }

        foreach (var command in outline)
        {
            var condition = $"test ({function}) = \"{command.Name}\"";
            foreach (var below in command.Subcommands)
            {
                script.Append($"complete -c {name} -n '{condition}' -f -a {below.Name} -d '{FishText(below.Description)}'\n");
            }

            foreach (var option in command.Options)
            {
                script.Append($"complete -c {name} -n '{condition}'{FishOption(option)}\n");
            }
        }

        return script.ToString();
    }

    private static string FishOption(Option option) =>
        (CommandOutline.ShortName(option) is { } letter ? $" -s {letter[1]}" : "") + $" -l {option.Name[2..]}{(CommandOutline.TakesValue(option) ? " -r" : "")} -d '{FishText(option.Description)}'";

    private static string FishText(string? text) => CommandOutline.Line(text).Replace("\\", "\\\\", StringComparison.Ordinal).Replace("'", "\\'", StringComparison.Ordinal);

    private static string Elvish(Command root)
    {
        var (name, outline) = (root.Name, CommandOutline.Of(root));
        var script = new StringBuilder();
        script.Append($$"""
            use builtin;
            use str;

            set edit:completion:arg-completer[{{name}}] = {|@words|
                fn cand {|text desc|
                    edit:complex-candidate $text &display=$text' '$desc
                }
                var command = '{{name}}'
                for word $words[1..-1] {
                    if (has-key $known $command' '$word) {
                        set command = $command' '$word
                    }
                }
                $known[$command]
            }

            """.ReplaceLineEndings("\n"));

        // The table stands before the completer that reads it.
        var table = new StringBuilder("var known = [\n");
        foreach (var command in outline)
        {
            table.Append($"    &'{command.Name}'= {{\n");
            foreach (var (word, about) in Described(root, command))
            {
                table.Append($"        cand '{word}' '{about.Replace("'", "''", StringComparison.Ordinal)}'\n");
            }

            table.Append("    }\n");
        }

        table.Append("]\n");
        var text = script.ToString();
        var at = text.IndexOf("    var command", StringComparison.Ordinal);
        return text[..at] + string.Concat(table.ToString().TrimEnd('\n').Split('\n').Select(static line => $"    {line}\n")) + text[at..];
    }

    private static string PowerShell(Command root)
    {
        var (name, outline) = (root.Name, CommandOutline.Of(root));
        var script = new StringBuilder();
        script.Append($$"""
            Register-ArgumentCompleter -Native -CommandName '{{name}}' -ScriptBlock {
                param($wordToComplete, $commandAst, $cursorPosition)
                $known = [ordered]@{

            """.ReplaceLineEndings("\n"));
        foreach (var command in outline)
        {
            script.Append($"        '{command.Name}' = @(\n");
            script.Append(string.Join(",\n", Described(root, command).Select(static word => $"            @('{word.Word}', '{word.About.Replace("'", "''", StringComparison.Ordinal)}')")));
            script.Append("\n        )\n");
        }

        return script.Append($$"""
                }
                $path = '{{name}}'
                foreach ($element in $commandAst.CommandElements | Select-Object -Skip 1) {
                    if ($element.Extent.EndOffset -ge $cursorPosition) { break }
                    if ($known.Contains("$path $element")) { $path = "$path $element" }
                }
                $known[$path] | Where-Object { $_[0] -like "$wordToComplete*" } | ForEach-Object {
                    [System.Management.Automation.CompletionResult]::new($_[0], $_[0], 'ParameterValue', $(if ($_[1]) { $_[1] } else { $_[0] }))
                }
            }

            """.ReplaceLineEndings("\n")).ToString();
    }

    private static IEnumerable<string> Words(Command root, OutlinedCommand command) => Described(root, command).Select(static word => word.Word);

    /// <summary>What may come next: commands below, and options by their long name.</summary>
    private static IEnumerable<(string Word, string About)> Described(Command root, OutlinedCommand command) =>
        command.Subcommands.Select(static below => (below.Name, CommandOutline.Line(below.Description)))
            .Concat(command.Options.Concat(CommandOutline.Globals(root)).DistinctBy(static option => option.Name).Select(static option => (option.Name, CommandOutline.Line(option.Description))))
            .Append(("--help", "Show help"));

    /// <summary>Every way to write an option that takes a value.</summary>
    private static IEnumerable<string> ValueNames(Command root, IReadOnlyList<OutlinedCommand> outline) =>
        outline.SelectMany(static command => command.Options).Concat(CommandOutline.Globals(root)).Where(CommandOutline.TakesValue)
            .SelectMany(static option => option.Aliases.Append(option.Name)).Distinct().Order(StringComparer.Ordinal);

    private static string Single(string text) => text.Replace("'", "'\\''", StringComparison.Ordinal).Replace(":", "\\:", StringComparison.Ordinal);

    private static string Function(string name) => $"_{name.Replace('-', '_')}";
}
