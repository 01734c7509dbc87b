using System.Runtime.InteropServices;

namespace OrleansMemory.Gate.Nodes;

/// <summary>Signals to processes of this user.</summary>
public static partial class ProcessSignal
{
    private const int SigInt = 2;
    private const int SigTerm = 15;

    private static readonly int SigStop = OperatingSystem.IsMacOS() ? 17 : 19;
    private static readonly int SigCont = OperatingSystem.IsMacOS() ? 19 : 18;

    /// <summary>SIGINT, as Ctrl-C sends.</summary>
    public static void Interrupt(int process) => Send(process, SigInt);

    /// <summary>SIGTERM.</summary>
    public static void Terminate(int process) => Send(process, SigTerm);

    /// <summary>SIGSTOP: the process runs no more, and its connections stay open.</summary>
    public static void Suspend(int process) => Send(process, SigStop);

    /// <summary>SIGCONT.</summary>
    public static void Resume(int process) => Send(process, SigCont);

    private static void Send(int process, int signal)
    {
        if (Kill(process, signal) != 0)
        {
            throw new IOException($"process {process} does not take signal {signal}: {Marshal.GetLastPInvokeErrorMessage()}");
        }
    }

    [LibraryImport("libc", EntryPoint = "kill", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int Kill(int process, int signal);
}
