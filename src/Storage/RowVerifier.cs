using OrleansMemory.Core.Backfills;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Storage;

/// <summary>Computes from a store's rows what it keeps beside them, and says where the two differ. Entries first, then memories by name.</summary>
internal sealed class RowVerifier
{
    private readonly List<string> _differences = [];
    private readonly Dictionary<DigestKey, Digest> _digests = [];
    private readonly Dictionary<string, AccessTotals> _access = new(StringComparer.Ordinal);
    private readonly List<MemoryRow> _group = [];

    public void Add(EntryState entry)
    {
        Add(DigestKey.Of(entry), MemoryCodec.Hash(entry.Encode()));
        if (entry.Key.Kind == MutationKind.Access)
        {
            var body = EntryBodies.Access(entry.Body);
            _access[entry.Owner] = _access.GetValueOrDefault(entry.Owner)
                .Add(body.Count, !EntryBodies.IsLegacyCounter(entry.Key), body.LastAccessedAt is { } at ? new Timestamp(at) : null);
        }
    }

    /// <summary>Rows of one name stand next to each other.</summary>
    public void Add(MemoryRow row)
    {
        var hash = MemoryCodec.Hash(row.Own);
        Add(DigestKey.Of(row.Own), hash);
        if (hash != row.Hash)
        {
            _differences.Add($"{row.Own.Id}: the kept hash is not that of the row");
        }

        if (row.Access != _access.GetValueOrDefault(row.Own.Id))
        {
            _differences.Add($"{row.Own.Id}: access totals are not the sum of the counters");
        }

        if (_group.Count > 0 && _group[0].Own.Name.Value != row.Own.Name.Value)
        {
            VerifyGroup();
            _group.Clear();
        }

        _group.Add(row);
    }

    /// <param name="shown">The memory of the row; null when it is not shown.</param>
    public void Add(DerivedValue kept, Memory? shown)
    {
        if (DerivedColumns.Verify(kept, shown) is { } difference)
        {
            _differences.Add(difference);
        }
    }

    public StoreVerification Finish(IReadOnlyDictionary<DigestKey, Digest> kept)
    {
        VerifyGroup();
        foreach (var key in kept.Keys.Union(_digests.Keys))
        {
            if (kept.GetValueOrDefault(key) != _digests.GetValueOrDefault(key))
            {
                _differences.Add($"digest {key}: kept {kept.GetValueOrDefault(key)}, computed {_digests.GetValueOrDefault(key)}");
            }
        }

        return new(_digests, _differences);
    }

    private void Add(DigestKey key, UInt128 hash) => _digests[key] = _digests.GetValueOrDefault(key).With(hash);

    private void VerifyGroup()
    {
        var live = _group.Where(static row => !MemoryView.IsArchived(row.Own, row.Access)).Select(static row => row.Own).ToList();
        var shown = live.Count == 0 ? null : MemoryView.ShownOf(live);
        foreach (var row in _group)
        {
            var visibility = !live.Exists(state => state.Id == row.Own.Id) ? RowVisibility.Archived
                : row.Own.Id == shown!.Id ? RowVisibility.Shown
                : RowVisibility.Shadowed;
            var view = visibility == RowVisibility.Shown && live.Count > 1
                ? MemoryView.OfGroup(row.Own, live.Where(other => other.Id != row.Own.Id), row.Access)
                : MemoryView.Of(row.Own, row.Access);
            if (row.Visibility != visibility)
            {
                _differences.Add($"{row.Own.Id}: is {row.Visibility}, should be {visibility}");
            }
            else if (view with { Tags = row.View.Tags } != row.View || !view.Tags.SequenceEqual(row.View.Tags))
            {
                _differences.Add($"{row.Own.Id}: the shown columns are not the view of its group");
            }
        }
    }
}
