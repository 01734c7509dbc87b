namespace OrleansMemory.Storage.Sqlite;

/// <summary>Makes of a store what a program of the first version would have left, so that starts on old databases can be measured and tested.</summary>
public static class OlderStore
{
    /// <summary>Takes away what later versions added; no node has the file open.</summary>
    public static void Make(string path)
    {
        using var database = SqliteDatabase.Open(path);
        database.Execute($"""
            begin immediate;
            drop table derived;
            drop table backfill;
            drop table backfill_quarantine;
            delete from meta where key = '{SqliteSchema.DerivedThrough}';
            update meta set value = '1' where key = 'schema_version';
            commit;
            """);
    }

    /// <summary>Counts accesses of every memory in its row alone, as programs did before there were counters.</summary>
    public static void Count(string path, long accesses)
    {
        using var database = SqliteDatabase.Open(path);
        using var update = database.Prepare("update memory set access_count = ?1, touches = 0");
        update.Bind(1, accesses).Run();
    }
}
