namespace OrleansMemory.Compliance;

/// <summary>The SQLite files of a set of nodes: wiped, copied aside and put back while a node is stopped.</summary>
public sealed class StoreFiles : IDisposable
{
    private static readonly string[] Sidecars = ["", "-wal", "-shm", "-index", "-index-wal", "-index-shm"];

    private readonly string _folder = Directory.CreateTempSubdirectory("om-set-").FullName;

    public string PathOf(int number) => Path.Combine(_folder, $"{number}.db");

    public void Wipe(int number)
    {
        foreach (var sidecar in Sidecars)
        {
            File.Delete(PathOf(number) + sidecar);
        }
    }

    public void Save(int number) => File.Copy(PathOf(number), CopyOf(number), overwrite: true);

    public void Restore(int number)
    {
        Wipe(number);
        File.Copy(CopyOf(number), PathOf(number));
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private string CopyOf(int number) => PathOf(number) + ".copy";
}
