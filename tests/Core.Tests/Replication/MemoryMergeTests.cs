using FsCheck;
using FsCheck.Fluent;
using OrleansMemory.Compliance;
using OrleansMemory.Core.Memories;
using OrleansMemory.Core.Replication;

namespace OrleansMemory.Core.Tests.Replication;

/// <summary>Merge is a join, and the codec loses nothing.</summary>
public sealed class MemoryMergeTests
{
    private static readonly Config Runs = Config.QuickThrowOnFailure.WithMaxTest(2_000);

    [Fact]
    public void Merge_is_commutative_associative_and_idempotent() => Check.One(Runs, Prop.ForAll<int>(seed =>
    {
        var states = new States(new Random(seed));
        var (a, b, c) = (states.State("x"), states.State("x"), states.State("x"));
        Same(a, MemoryMerge.Merge(a, a with { }));
        Same(MemoryMerge.Merge(a, b), MemoryMerge.Merge(b, a));
        Same(MemoryMerge.Merge(MemoryMerge.Merge(a, b), c), MemoryMerge.Merge(a, MemoryMerge.Merge(b, c)));
        Same(MemoryMerge.Merge(a, b), MemoryMerge.Merge(MemoryMerge.Merge(a, b), b));
    }));

    [Fact]
    public void Deletes_and_what_they_overrule_merge_in_any_order() => Check.One(Runs, Prop.ForAll<int>(seed =>
    {
        var states = new States(new Random(seed));
        var (a, b) = (Tombstone(seed), Tombstone(seed / 7));
        var (x, y) = (states.State("x"), states.State("x"));
        Assert.Equal(MemoryMerge.Merge(a, b), MemoryMerge.Merge(b, a));
        Assert.Equal(MemoryMerge.Merge(MemoryMerge.Merge(a, x), b), MemoryMerge.Merge(MemoryMerge.Merge(b, a), x));
        Assert.Equal(MemoryMerge.Merge(MemoryMerge.Merge(a, x), y), MemoryMerge.Merge(a, MemoryMerge.Merge(x, y)));
        Assert.Equal(MemoryMerge.Merge(a, x), MemoryMerge.Merge(MemoryMerge.Merge(a, x), x));
        Assert.True(MemoryMerge.Merge(a, x).Stamp >= x.NewestStamp);

        static Tombstone Tombstone(int seed)
        {
            var random = new Random(seed);
            return new("x", $"ns{random.Next(3)}", new(random.Next(100), new("abc"[random.Next(3)..][..1], 1)), new(random.Next(3)));
        }
    }));

    [Fact]
    public void Encoded_states_decode_to_themselves() => Check.One(Runs, Prop.ForAll<int>(seed =>
    {
        var states = new States(new Random(seed));
        var state = states.State();
        Same(state, MemoryCodec.Decode(MemoryCodec.Encode(state)));
        var view = MemoryView.Of(MemoryMerge.Merge(state, states.State(state.Id)), new AccessTotals(seed & 63, seed & 15, null)) with { Id = state.Id };
        Same(state, MemoryCodec.DecodeBeside(MemoryCodec.EncodeBeside(state, view), view));
    }));

    [Fact]
    public void A_cut_or_changed_encoding_is_refused_and_never_crashes() => Check.One(Runs, Prop.ForAll<int>(seed =>
    {
        var random = new Random(seed);
        var bytes = MemoryCodec.Encode(new States(random).State());
        var broken = random.Next(2) == 0 ? bytes[..random.Next(bytes.Length)] : bytes;
        if (broken.Length > 0 && random.Next(3) > 0)
        {
            broken[random.Next(broken.Length)] ^= (byte)(1 << random.Next(8));
        }

        try
        {
            MemoryCodec.Decode(broken);
        }
        catch (MemoryException exception)
        {
            Assert.Equal(ErrorKind.MalformedRequest, exception.Kind);
        }
    }));

    [Fact]
    public void A_touch_raises_an_expiry_and_never_beats_an_explicit_one()
    {
        var state = new States(new Random(1)).State("x");
        var early = new Stamp(10, new("a", 1));
        var late = new Stamp(11, new("a", 1));
        var set = state with { Expiry = new(new Timestamp(100), early) };
        var touched = state with { Expiry = new(new Timestamp(900), early) };
        var shortened = state with { Expiry = new(new Timestamp(50), late) };
        Assert.Equal(new Timestamp(900), MemoryMerge.Merge(set, touched).Expiry.Value);
        Assert.Equal(new Timestamp(50), MemoryMerge.Merge(touched, shortened).Expiry.Value);
    }

    [Fact]
    public void An_expiry_archive_gives_way_to_a_larger_expiry()
    {
        var stamp = new Stamp(10, new("a", 1));
        var state = new States(new Random(1)).State("x") with
        {
            Tier = Tier.Mid,
            Expiry = new(new Timestamp(100), stamp),
            Archive = new(new ArchiveMark(new(100), ArchiveMark.Expired, new Timestamp(100)), stamp),
        };
        Assert.True(MemoryView.IsArchived(state, default));
        Assert.False(MemoryView.IsArchived(state with { Expiry = new(new Timestamp(101), stamp) }, default));
        Assert.False(MemoryView.IsArchived(state, new AccessTotals(5, 5, null)));
        Assert.True(MemoryView.IsArchived(state with { Archive = new(new ArchiveMark(new(100), ArchiveMark.Forgotten, null), stamp), Expiry = new(null, stamp) }, default));
    }

    [Fact]
    public void An_entry_merge_is_a_join() => Check.One(Runs, Prop.ForAll<int>(seed =>
    {
        var entries = new States(new Random(seed)).Mutations(60)
            .Where(mutation => mutation.Kind is not (MutationKind.Memory or MutationKind.MemoryDelete))
            .Select(mutation => EntryState.Decode(mutation.Body))
            .GroupBy(entry => entry.Key).Where(group => group.Count() >= 3).ToList();
        foreach (var group in entries)
        {
            var (a, b, c) = (group.ElementAt(0), group.ElementAt(1), group.ElementAt(2));
            Assert.Equal(EntryState.Merge(a, b).Encode(), EntryState.Merge(b, a).Encode());
            Assert.Equal(EntryState.Merge(EntryState.Merge(a, b), c).Encode(), EntryState.Merge(a, EntryState.Merge(b, c)).Encode());
            Assert.Equal(EntryState.Merge(a, a).Encode(), a.Encode());
        }
    }));

    private static void Same(MemoryState expected, MemoryState actual) => Assert.Equal(MemoryCodec.Encode(expected), MemoryCodec.Encode(actual));
}
