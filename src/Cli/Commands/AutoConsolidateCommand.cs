using System.CommandLine;
using System.Globalization;
using System.Text;
using OrleansMemory.Cli.Options;
using OrleansMemory.Cli.Output;
using OrleansMemory.Core;
using OrleansMemory.Core.Curation;
using OrleansMemory.Core.Governance;
using OrleansMemory.Core.Memories;

namespace OrleansMemory.Cli.Commands;

/// <summary>Makes one memory of those that share a namespace and their first tag.</summary>
internal static class AutoConsolidateCommand
{
    private const string Untagged = "_untagged";
    private const int DefaultMinimum = 3;
    private const int PageRows = 500;

    public static CliCommand Create()
    {
        var @namespace = OptionKinds.Text("Only this namespace", "--namespace", "-n");
        var shortOnly = OptionKinds.Flag("Only short-lived memories", "--short-only");
        var minimum = OptionKinds.Number($"Memories that a group needs, 2 or more [default: {DefaultMinimum}]", 0, int.MaxValue, "--min-count");
        var dryRun = OptionKinds.Flag("Show the groups, write nothing", "--dry-run");
        var command = new Command("auto-consolidate", "Make one memory of those that share a namespace and a tag; curator --rollback undoes it") { @namespace, shortOnly, minimum, dryRun };
        return new(command, async session =>
        {
            var filter = new ListQuery
            {
                Namespace = session.Value(@namespace) is { } name ? MemoryRules.Namespace(name) : null,
                Tier = session.Value(shortOnly) ? Tier.Short : null,
                Limit = PageRows,
            };
            var service = await session.OpenAsync();
            var least = Math.Max(session.Value(minimum) ?? DefaultMinimum, ConsolidationDraft.FewestMemories);
            var groups = (await GroupsAsync(service, filter)).Where(group => group.Memories.Count >= least).ToList();
            if (session.Value(dryRun))
            {
                Show(session, groups);
                return 0;
            }

            using var progress = new ProgressLine(session.Report, "consolidating");
            var titles = new HashSet<(string, string)>();
            long consolidated = 0;
            foreach (var group in groups)
            {
                foreach (var part in group.Memories.Chunk(ConsolidationDraft.MostMemories).Where(static part => part.Length >= ConsolidationDraft.FewestMemories))
                {
                    consolidated += (await ConsolidateAsync(session, service, group, part, titles)).Count;
                    progress.Show(consolidated, groups.Sum(static known => (long)known.Memories.Count));
                }
            }

            progress.End();
            if (session.Json)
            {
                session.Report.Object(writer => writer.WriteNumber("consolidated", consolidated));
            }
            else
            {
                session.Text.WriteLine($"auto-consolidated {consolidated} memories");
            }

            return 0;
        });
    }

    /// <summary>By namespace, then by tag. A memory is in one group: that of its first tag.</summary>
    private static async Task<List<Group>> GroupsAsync(IDomainService service, ListQuery query)
    {
        var groups = new SortedDictionary<(string Namespace, string Tag), List<Memory>>();
        string? cursor = null;
        do
        {
            var page = await service.ListAsync(query with { Cursor = cursor });
            foreach (var memory in page.Memories.Where(static memory => !ReservedNamespaces.Contains(memory.Namespace)))
            {
                var key = (memory.Namespace, memory.Tags.Count > 0 ? memory.Tags[0] : Untagged);
                (groups.TryGetValue(key, out var known) ? known : groups[key] = []).Add(memory);
            }

            cursor = page.NextCursor;
        }
        while (cursor is not null);
        return [.. groups.Select(static pair => new Group(pair.Key.Namespace, pair.Key.Tag, pair.Value))];
    }

    private static async Task<Consolidated> ConsolidateAsync(Session session, IDomainService service, Group group, IReadOnlyList<Memory> part, HashSet<(string, string)> titles)
    {
        var draft = new ConsolidationDraft([.. part.Select(static memory => memory.Id)], "", Summary(part), group.Namespace, part.Max(static memory => memory.Tier), "auto-consolidate");
        for (var attempt = 1; ; attempt++)
        {
            var title = string.Create(CultureInfo.InvariantCulture, $"Consolidated: {group.Tag} ({part.Count} memories, {session.Now.ToString()[..10]}{(attempt == 1 ? "" : $", {attempt}")})");
            if (!titles.Add((group.Namespace, title)))
            {
                continue;
            }

            try
            {
                return await service.ConsolidateAsync(draft with { Title = title }, session.Write);
            }
            catch (MemoryException exception) when (exception.Kind == ErrorKind.TitleTaken)
            {
                // Made by an earlier run of the same day.
            }
        }
    }

    /// <summary>A paragraph for each memory, under its title. Where they do not fit each is cut to an equal share; the whole ones are in the archive.</summary>
    internal static string Summary(IReadOnlyList<Memory> memories)
    {
        var share = MemoryLimits.ContentBytes / memories.Count;
        var text = new StringBuilder();
        foreach (var memory in memories)
        {
            var paragraph = $"- {memory.Title}: {memory.Content}";
            text.Append(text.Length == 0 ? "" : "\n").Append(TextCut.Bytes(paragraph, share - 1));
        }

        return text.ToString();
    }

    private static void Show(Session session, List<Group> groups)
    {
        if (session.Json)
        {
            session.Report.Object(writer =>
            {
                writer.WriteBoolean("dry_run", true);
                writer.WriteStartArray("groups");
                foreach (var group in groups)
                {
                    writer.WriteStartObject();
                    writer.WriteNumber("count", group.Memories.Count);
                    writer.WriteString("namespace", group.Namespace);
                    writer.WriteString("tag", group.Tag);
                    writer.WriteStartArray("titles");
                    foreach (var memory in group.Memories)
                    {
                        writer.WriteStringValue(memory.Title);
                    }

                    writer.WriteEndArray();
                    writer.WriteEndObject();
                }

                writer.WriteEndArray();
            });
            return;
        }

        session.Text.WriteLine("dry run — would consolidate:");
        foreach (var group in groups)
        {
            session.Text.WriteLine($"  \"{group.Namespace}\" [\"{group.Tag}\"]: {group.Memories.Count} memories");
        }
    }

    private sealed record Group(string Namespace, string Tag, IReadOnlyList<Memory> Memories);
}
