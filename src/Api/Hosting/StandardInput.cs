namespace OrleansMemory.Api.Hosting;

/// <summary>A starter that holds the other end of the pipe: it closes when the starter says so, or is no more.</summary>
public static class StandardInput
{
    /// <summary>Calls back once, on a thread of its own, when standard input ends.</summary>
    public static void OnClose(Action closed)
    {
        var waiting = new Thread(() =>
        {
            using var input = Console.OpenStandardInput();
            Span<byte> ignored = stackalloc byte[64];
            try
            {
                while (input.Read(ignored) > 0)
                {
                }

                closed();
            }
            catch (Exception exception) when (exception is IOException or ObjectDisposedException)
            {
                // An input that cannot be read tells nothing, and a node that stopped by itself needs no telling.
            }
        })
        { IsBackground = true, Name = "standard input" };
        waiting.Start();
    }
}
