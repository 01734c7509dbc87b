using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;
using OrleansMemory.Core.Memories;
using SQLitePCL;

namespace OrleansMemory.Storage.Sqlite;

/// <summary>
/// The tokenizer of the full-text index by itself, so that an index kept elsewhere holds the same words: letters and digits of
/// Unicode, folded, without diacritics; English endings taken off by Porter's algorithm. Used by one thread at a time.
/// </summary>
internal sealed unsafe class Fts5Tokenizer : IDisposable
{
    // The member of fts5_api that finds a tokenizer, in pointers.
    private const int FindTokenizer = 2;

    private const int Document = 4;

    private static readonly delegate* unmanaged[Cdecl]<nint, int, void*, byte*, nint, int> BindPointer =
        (delegate* unmanaged[Cdecl]<nint, int, void*, byte*, nint, int>)SqliteLibrary.Function("sqlite3_bind_pointer");

    private readonly SqliteDatabase _database;
    private readonly Methods _methods;
    private readonly nint _tokenizer;
    private byte[] _buffer = new byte[4_096];

    /// <exception cref="MemoryException"><see cref="ErrorKind.StoreFailed"/>: the library lacks full-text search.</exception>
    public Fts5Tokenizer()
    {
        _database = SqliteDatabase.Open(":memory:");
        nint api = 0;
        if (raw.sqlite3_prepare_v2(_database.Handle, "select fts5(?1)", out var statement) != raw.SQLITE_OK)
        {
            throw new MemoryException(ErrorKind.StoreFailed, "the SQLite library lacks full-text search (FTS5)");
        }

        using (statement)
        {
            fixed (byte* name = "fts5_api_ptr"u8)
            {
                BindPointer(statement.DangerousGetHandle(), 1, &api, name, 0);
                raw.sqlite3_step(statement);
            }
        }

        var code = raw.SQLITE_ERROR;
        if (api != 0)
        {
            fixed (byte* porter = "porter"u8, unicode = "unicode61"u8, option = "remove_diacritics"u8, value = "2"u8)
            {
                var find = (delegate* unmanaged[Cdecl]<nint, byte*, nint*, Methods*, int>)((nint*)api)[FindTokenizer];
                Methods methods;
                nint context, tokenizer;
                code = find(api, porter, &context, &methods);
                if (code == raw.SQLITE_OK)
                {
                    var arguments = stackalloc byte*[] { unicode, option, value };
                    code = methods.Create(context, arguments, 3, &tokenizer);
                    _tokenizer = tokenizer;
                    _methods = methods;
                }
            }
        }

        if (code != raw.SQLITE_OK)
        {
            _database.Dispose();
            throw new MemoryException(ErrorKind.StoreFailed, $"the SQLite library hides its tokenizer (code {code})");
        }
    }

    /// <summary>Adds the tokens of a text, in order.</summary>
    public void Tokenize(string text, List<string> tokens)
    {
        var most = Encoding.UTF8.GetMaxByteCount(text.Length);
        if (_buffer.Length < most)
        {
            _buffer = new byte[most];
        }

        var length = Encoding.UTF8.GetBytes(text, _buffer);
        var handle = GCHandle.Alloc(tokens);
        try
        {
            fixed (byte* bytes = _buffer)
            {
                var code = _methods.Tokenize(_tokenizer, GCHandle.ToIntPtr(handle), Document, bytes, length, &Take);
                if (code != raw.SQLITE_OK)
                {
                    throw new SqliteException(code, "a text cannot be divided into words", "fts5");
                }
            }
        }
        finally
        {
            handle.Free();
        }
    }

    public void Dispose()
    {
        _methods.Delete(_tokenizer);
        _database.Dispose();
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int Take(nint context, int flags, byte* token, int length, int start, int end)
    {
        ((List<string>)GCHandle.FromIntPtr(context).Target!).Add(Encoding.UTF8.GetString(token, length));
        return raw.SQLITE_OK;
    }

    /// <summary>The struct fts5_tokenizer.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private readonly struct Methods
    {
        public readonly delegate* unmanaged[Cdecl]<nint, byte**, int, nint*, int> Create;

        public readonly delegate* unmanaged[Cdecl]<nint, void> Delete;

        public readonly delegate* unmanaged[Cdecl]<nint, nint, int, byte*, int, delegate* unmanaged[Cdecl]<nint, int, byte*, int, int, int, int>, int> Tokenize;
    }
}
