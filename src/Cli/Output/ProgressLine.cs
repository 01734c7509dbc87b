using System.Diagnostics;
using System.Globalization;

namespace OrleansMemory.Cli.Output;

/// <summary>One line on standard error that a terminal shows anew: how far, how fast, how long still. Where nobody watches it writes nothing.</summary>
/// <param name="phase">What is being done.</param>
internal sealed class ProgressLine(Report report, string phase) : IDisposable
{
    private static readonly TimeSpan Pace = TimeSpan.FromMilliseconds(200);

    private readonly Stopwatch _time = Stopwatch.StartNew();
    private string _phase = phase;
    private TimeSpan? _shownAt;
    private bool _ended;

    /// <param name="total">0: not known.</param>
    public void Show(long rows, long total, string? phase = null)
    {
        if (!report.ShowsProgress)
        {
            return;
        }

        if (phase is not null && phase != _phase)
        {
            _phase = phase;
            _shownAt = null;
            _time.Restart();
        }

        var elapsed = _time.Elapsed;
        if (elapsed - _shownAt < Pace)
        {
            return;
        }

        _shownAt = elapsed;
        var rate = rows / Math.Max(elapsed.TotalSeconds, 0.001);
        var left = Math.Max(0, total - rows) / Math.Max(rate, 1);
        report.Error.Write(total == 0
            ? string.Create(CultureInfo.InvariantCulture, $"\r{_phase}  {rows} rows  {rate:F0}/s   ")
            : string.Create(CultureInfo.InvariantCulture, $"\r{_phase} {Math.Min(100, rows * 100 / total),3} %  {rows} rows  {rate:F0}/s  {left:F0} s left   "));
    }

    /// <summary>Takes the line away.</summary>
    public void End()
    {
        if (!_ended && _shownAt is not null)
        {
            report.Error.Write("\r" + new string(' ', 70) + "\r");
        }

        _ended = true;
    }

    public void Dispose() => End();
}
