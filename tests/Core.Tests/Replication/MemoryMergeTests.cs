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

    [Fact]
    public void What_only_rises_takes_the_higher_and_the_creation_the_earlier()
    {
        var state = new States(new Random(1)).State("x");
        var a = state with { Tier = Tier.Short, CreatedAt = new(1), UpdatedAt = new(2), CreatedEpoch = 3 };
        var b = state with { Tier = Tier.Long, CreatedAt = new(5), UpdatedAt = new(6), CreatedEpoch = 7 };
        foreach (var merged in new[] { MemoryMerge.Merge(a, b), MemoryMerge.Merge(b, a) })
        {
            Assert.Equal((Tier.Long, new Timestamp(1), new Timestamp(6), 7), (merged.Tier, merged.CreatedAt, merged.UpdatedAt, merged.CreatedEpoch));
        }

        Assert.Throws<ArgumentException>(() => MemoryMerge.Merge(a, b with { Id = "y" }));
    }

    [Fact]
    public void The_stamp_of_the_first_write_stays_when_every_group_was_written_again()
    {
        var (first, later) = (new Stamp(1, new("n", 1)), new Stamp(2, new("n", 1)));
        var state = new States(new Random(1)).State("x") with { FirstStamp = null, Archive = null, Unknown = [] };
        var (written, again) = (Stamped(state, first), Stamped(state, later));
        Assert.Equal(first, written.BornAt);
        foreach (var merged in new[] { MemoryMerge.Merge(written, again), MemoryMerge.Merge(again, written) })
        {
            Assert.Equal((first, later), (merged.BornAt, merged.NewestStamp));
            var read = MemoryCodec.Decode(MemoryCodec.Encode(merged));
            Assert.Equal(first, read.BornAt);
            Assert.Equal(MemoryCodec.Hash(merged), MemoryCodec.Hash(MemoryMerge.Merge(read, again)));
        }

        // Where a group still carries it, it is not kept twice: equal states have equal bytes.
        Assert.Null(MemoryMerge.Merge(written, again with { Name = written.Name }).FirstStamp);
        Assert.Throws<MemoryException>(() => MemoryCodec.Decode(MemoryCodec.Encode(again with { FirstStamp = later })));

        static MemoryState Stamped(MemoryState state, Stamp stamp) => state with
        {
            Name = state.Name with { Stamp = stamp },
            Body = state.Body with { Stamp = stamp },
            Metadata = state.Metadata with { Stamp = stamp },
            Priority = state.Priority with { Stamp = stamp },
            Confidence = state.Confidence with { Stamp = stamp },
            Expiry = state.Expiry with { Stamp = stamp },
        };
    }

    [Fact]
    public void Of_two_deletes_the_later_of_each_is_kept()
    {
        var early = new Tombstone("x", "a", new(1, new("n", 1)), new(9));
        var late = new Tombstone("x", "b", new(2, new("n", 1)), new(8));
        var both = new Tombstone("x", "b", late.Stamp, early.DeletedAt);
        Assert.Equal(both, MemoryMerge.Merge(early, late));
        Assert.Equal(both, MemoryMerge.Merge(late, early));

        // One that changes nothing is not written again.
        Assert.Same(both, MemoryMerge.Merge(both, early));
        Assert.Same(both, MemoryMerge.Merge(both, late));
    }

    /// <summary>No right writer stamps two values alike; then what is kept must not hang on the order all the same.</summary>
    [Fact]
    public void Of_values_that_are_stamped_alike_the_larger_is_kept()
    {
        var state = new States(new Random(1)).State("x");
        Wins<MemoryName>([new("a", "z"), new("b", "a"), new("b", "b")], static merged => merged.Name, (value, stamp) => state with { Name = new(value, stamp) });
        Wins<MemoryBody>(
            [
                new("a", ["z"], "z"), new("b", ["z", "z"], "a"), new("b", ["z"], "b"), new("b", ["a", "b"], "b"), new("b", ["a", "c"], "b"), new("b", ["b", "a"], "b"),
                new("b", ["b", "b"], "b"),
            ],
            static merged => merged.Body,
            (value, stamp) => state with { Body = new(value, stamp) });
        Wins<Metadata>([Metadata.Parse("""{"a":1}"""), Metadata.Parse("""{"a":2}""")], static merged => merged.Metadata, (value, stamp) => state with { Metadata = new(value, stamp) });
        Wins<int>([1, 2], static merged => merged.Priority, (value, stamp) => state with { Priority = new(value, stamp) });
        Wins<double>([0.1, 0.2], static merged => merged.Confidence, (value, stamp) => state with { Confidence = new(value, stamp) });
        Wins<Timestamp?>([new(1), new(2), null], static merged => merged.Expiry, (value, stamp) => state with { Expiry = new(value, stamp) });
        Wins<ArchiveMark?>(
            [null, new(new(9), "a", null), new(new(9), "b", null), new(new(8), "a", new(1)), new(new(8), "a", new(2)), new(new(9), "a", new(2)), new(new(9), "b", new(2))],
            static merged => merged.Archive!.Value,
            (value, stamp) => state with { Archive = new(value, stamp) });

        // Ascending. A later stamp beats any value.
        static void Wins<T>(IReadOnlyList<T> values, Func<MemoryState, Stamped<T>> read, Func<T, Stamp, MemoryState> write)
        {
            var (early, late) = (new Stamp(1_000, new("n", 1)), new Stamp(1_001, new("n", 1)));
            for (var lower = 0; lower < values.Count; lower++)
            {
                for (var higher = lower; higher < values.Count; higher++)
                {
                    var (a, b) = (write(values[lower], early), write(values[higher], early));
                    Assert.Equal(values[higher], read(MemoryMerge.Merge(a, b)).Value);
                    Assert.Equal(values[higher], read(MemoryMerge.Merge(b, a)).Value);
                    a = write(values[lower], late);
                    Assert.Equal(values[lower], read(MemoryMerge.Merge(a, b)).Value);
                    Assert.Equal(values[lower], read(MemoryMerge.Merge(b, a)).Value);
                }
            }
        }
    }

    [Fact]
    public void Fields_of_newer_nodes_are_kept_by_tag_and_the_newest_of_each()
    {
        var state = new States(new Random(1)).State("x");
        var (early, late) = (new Stamp(1, new("n", 1)), new Stamp(2, new("n", 1)));
        var a = state with { Unknown = [new(20, early, new byte[] { 9 }), new(22, late, new byte[] { 1 }), new(24, early, new byte[] { 1 })] };
        var b = state with { Unknown = [new(20, late, new byte[] { 1 }), new(21, early, new byte[] { 1 }), new(22, early, new byte[] { 9 }), new(24, early, new byte[] { 2 })] };
        foreach (var merged in new[] { MemoryMerge.Merge(a, b), MemoryMerge.Merge(b, a) })
        {
            Assert.Equal(
                [(20, late, 1), (21, early, 1), (22, late, 1), (24, early, 2)],
                merged.Unknown.Select(static field => (field.Tag, field.Stamp, (int)field.Value.Span[0])));
        }

        Assert.Equal(3, MemoryMerge.Merge(a, state with { Unknown = [] }).Unknown.Count);
        Assert.Equal(3, MemoryMerge.Merge(state with { Unknown = [] }, a).Unknown.Count);
    }

    [Fact]
    public void An_archive_that_the_other_does_not_know_stays()
    {
        var state = new States(new Random(1)).State("x") with { Archive = null };
        var archived = state with { Archive = new(new ArchiveMark(new(1), ArchiveMark.Forgotten, null), new(1, new("n", 1))) };
        Assert.Equal(archived.Archive, MemoryMerge.Merge(state, archived).Archive);
        Assert.Equal(archived.Archive, MemoryMerge.Merge(archived, state).Archive);
        Assert.Null(MemoryMerge.Merge(state, state with { }).Archive);
    }

    private static void Same(MemoryState expected, MemoryState actual) => Assert.Equal(MemoryCodec.Encode(expected), MemoryCodec.Encode(actual));
}
