using System.Runtime.CompilerServices;
using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;
using OrleansMemory.Core.Memories;
using SQLitePCL;

namespace OrleansMemory.Storage.Sqlite;

/// <summary>
/// The SQL function <c>om_visit(table)</c> of one connection: an FTS5 auxiliary function that shows each match of a query to
/// managed code from inside SQLite's own loop, with how often the match holds each phrase. It returns null.
/// </summary>
internal sealed unsafe class Fts5Visitor : IDisposable
{
    // Members of Fts5ExtensionApi, in pointers.
    private const int UserData = 1;
    private const int Rowid = 10;
    private const int PhraseFirst = 16;
    private const int PhraseNext = 17;

    // The member of fts5_api that creates an auxiliary function, in pointers.
    private const int CreateFunction = 3;

    private static readonly delegate* unmanaged[Cdecl]<nint, int, void*, byte*, nint, int> BindPointer =
        (delegate* unmanaged[Cdecl]<nint, int, void*, byte*, nint, int>)SqliteLibrary.Function("sqlite3_bind_pointer");

    private static readonly delegate* unmanaged[Cdecl]<nint, int, void> ResultErrorCode =
        (delegate* unmanaged[Cdecl]<nint, int, void>)SqliteLibrary.Function("sqlite3_result_error_code");

    private GCHandle _self;
    private Visit? _visit;
    private Exception? _failure;
    private bool _stopped;

    public Fts5Visitor(SqliteDatabase database)
    {
        nint api = 0;
        if (raw.sqlite3_prepare_v2(database.Handle, "select fts5(?1)", out var statement) != raw.SQLITE_OK)
        {
            throw new MemoryException(ErrorKind.StoreFailed, "the SQLite library lacks full-text search (FTS5)");
        }

        using (statement)
        {
            // The bytes of a UTF-8 literal never move, and SQLite compares the name by its text.
            fixed (byte* name = "fts5_api_ptr"u8)
            {
                BindPointer(statement.DangerousGetHandle(), 1, &api, name, 0);
                raw.sqlite3_step(statement);
            }
        }

        if (api == 0)
        {
            throw new MemoryException(ErrorKind.StoreFailed, "the SQLite library hides its full-text interface (fts5_api)");
        }

        _self = GCHandle.Alloc(this);
        fixed (byte* name = "om_visit"u8)
        {
            var create = (delegate* unmanaged[Cdecl]<nint, byte*, nint, delegate* unmanaged[Cdecl]<nint*, nint, nint, int, nint*, void>, nint, int>)((nint*)api)[CreateFunction];
            var code = create(api, name, GCHandle.ToIntPtr(_self), &Called, 0);
            if (code != raw.SQLITE_OK)
            {
                throw database.Failure(code, "om_visit");
            }
        }
    }

    /// <summary>Judges one match; false ends the query.</summary>
    public delegate bool Visit(in Match match);

    /// <summary>Runs <paramref name="query"/>, a bound statement that calls om_visit, to its end or until the visitor says no.</summary>
    public void Run(SqliteStatement query, Visit visit)
    {
        _visit = visit;
        _failure = null;
        _stopped = false;
        try
        {
            while (query.Step())
            {
            }
        }
        catch (SqliteException exception) when (_stopped && exception.PrimaryCode == raw.SQLITE_INTERRUPT)
        {
        }
        finally
        {
            query.Reset();
            _visit = null;
        }

        if (_failure is { } failure)
        {
            ExceptionDispatchInfo.Throw(failure);
        }
    }

    public void Dispose() => _self.Free();

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static void Called(nint* api, nint context, nint result, int count, nint* values)
    {
        var self = (Fts5Visitor)GCHandle.FromIntPtr(((delegate* unmanaged[Cdecl, SuppressGCTransition]<nint, nint>)api[UserData])(context)).Target!;
        var go = false;
        try
        {
            go = self._visit!(new(api, context));
        }
        catch (Exception exception)
        {
            // No exception may cross SQLite's frames.
            self._failure = exception;
        }

        if (!go)
        {
            self._stopped = true;
            ResultErrorCode(result, raw.SQLITE_INTERRUPT);
        }
    }

    /// <summary>One match, valid only during the visit.</summary>
    [StructLayout(LayoutKind.Auto)]
    internal readonly ref struct Match(nint* api, nint context)
    {
        private readonly nint* _api = api;
        private readonly nint _context = context;

        public long Row => ((delegate* unmanaged[Cdecl, SuppressGCTransition]<nint, long>)_api[Rowid])(_context);

        /// <summary>How often the match holds the phrases from <paramref name="firstPhrase"/> on, one for each place in <paramref name="frequencies"/>.</summary>
        public void Frequencies(int firstPhrase, Span<int> frequencies)
        {
            var first = (delegate* unmanaged[Cdecl]<nint, int, PhraseIterator*, int*, int*, int>)_api[PhraseFirst];
            var next = (delegate* unmanaged[Cdecl, SuppressGCTransition]<nint, PhraseIterator*, int*, int*, void>)_api[PhraseNext];
            PhraseIterator iterator;
            int column, offset;
            for (var phrase = 0; phrase < frequencies.Length; phrase++)
            {
                var frequency = 0;
                var code = first(_context, firstPhrase + phrase, &iterator, &column, &offset);
                if (code != raw.SQLITE_OK)
                {
                    throw new SqliteException(code, "phrase iteration failed", "om_visit");
                }

                while (column >= 0)
                {
                    frequency++;
                    next(_context, &iterator, &column, &offset);
                }

                frequencies[phrase] = frequency;
            }
        }
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct PhraseIterator
    {
        public nint Position;

        public nint End;
    }
}
