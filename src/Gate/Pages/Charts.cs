using OrleansMemory.Gate.Campaigns;

namespace OrleansMemory.Gate.Pages;

/// <summary>Charts as SVG. Places are percentages of the width, so that a chart fits a narrow page without its text shrinking.</summary>
internal static class Charts
{
    private const int RowHeight = 26;
    private const int RowMiddle = RowHeight / 2;
    private const int AxisHeight = 18;

    /// <summary>How long each fault class took to converge: a dot for each cycle, on a logarithmic scale.</summary>
    public static Html Converge(IReadOnlyList<FaultFigures> faults)
    {
        var shown = faults.Where(static fault => fault.ConvergeMs is not null).ToList();
        if (shown.Count == 0)
        {
            return Html.Empty;
        }

        var axis = LogAxis.Of(shown.SelectMany(static fault => fault.ConvergeMsByCycle));
        return Html.Of($"""
            <figure><figcaption><strong>Time to converge</strong>, from the end of the fault and its traffic until all nodes are ready and equal. A dot is a cycle; the bar reaches from p50 (thick line) to p95, the thin line from the least to the most. The scale is logarithmic.</figcaption>
            <div class="plot">
            {Html.Each(shown, fault => Strip(fault, axis))}<span></span>{Scale(axis)}<span></span>
            </div></figure>

            """);
    }

    /// <summary>Acknowledged writes for each second of traffic, a bar for each fault class.</summary>
    public static Html Throughput(IReadOnlyList<FaultFigures> faults)
    {
        var most = faults.Select(static fault => fault.AckedPerSecond).DefaultIfEmpty(0).Max();
        return most == 0 ? Html.Empty : Html.Of($"""
            <figure><figcaption><strong>Throughput</strong>: acknowledged writes for each second of traffic, faults included.</figcaption>
            <div class="plot bars">
            {Html.Each(faults, fault => Html.Of($"""
            <code>{fault.Fault}</code>
            <svg role="img" height="{RowHeight}"><title>{fault.Fault}: {fault.AckedPerSecond:N1} acknowledged writes per second</title><rect class="box" x="0" y="5" width="{Percent(fault.AckedPerSecond / most)}" height="16" rx="3"/></svg>
            <span class="figures">{fault.AckedPerSecond:N1} /s</span>

            """))}</div></figure>

            """);
    }

    /// <summary>A figure over runs, with the median of all of them.</summary>
    /// <param name="values">A run each: its name, its figure if it has one, and whether it is red.</param>
    public static Html Trend(string title, string unit, IReadOnlyList<(string Name, decimal? Value, bool IsRed)> values, Func<decimal, string> show)
    {
        const int Height = 120;
        const int Top = 14;
        const decimal Headroom = 1.2m;
        var known = values.Where(static value => value.Value is not null).Select(static value => value.Value!.Value).ToList();
        if (known.Count == 0)
        {
            return Html.Empty;
        }

        var most = Math.Max(known.Max() * Headroom, 1m);
        var median = Percentiles.Of(known)!.P50;
        string Across(int index) => Percent((index + 0.5m) / values.Count);
        string Up(decimal value) => $"{Top + ((1 - (value / most)) * Height):0.#}";
        var points = values.Select((value, index) => (value.Name, value.Value, value.IsRed, Index: index)).Where(static point => point.Value is not null).ToList();
        return Html.Of($"""
            <figure class="trend"><figcaption><strong>{title}</strong>{unit}: median {show(median)} (dashed), least {show(known.Min())}, most {show(known.Max())}.</figcaption>
            <svg role="img" height="{Height + Top + 6}"><title>{title} over {values.Count} runs: median {show(median)}, least {show(known.Min())}, most {show(known.Max())}</title>
            <line class="grid" x1="0" x2="100%" y1="{Top}" y2="{Top}"/><text x="0" y="{Top - 3}">{show(most)}</text>
            <line class="grid" x1="0" x2="100%" y1="{Top + Height}" y2="{Top + Height}"/>
            <line class="median" x1="0" x2="100%" y1="{Up(median)}" y2="{Up(median)}"/>
            {Html.Each(points.Zip(points.Skip(1)), pair => Html.Of($"""<line class="path faint" x1="{Across(pair.First.Index)}" y1="{Up(pair.First.Value!.Value)}" x2="{Across(pair.Second.Index)}" y2="{Up(pair.Second.Value!.Value)}"/>"""))}
            {Html.Each(points, point => Html.Of($"""<circle class="dot{(point.IsRed ? " red" : "")}" cx="{Across(point.Index)}" cy="{Up(point.Value!.Value)}" r="{(point.IsRed ? 5 : 3)}"><title>{point.Name}: {show(point.Value!.Value)}{(point.IsRed ? ", red" : "")}</title></circle>"""))}
            </svg></figure>

            """);
    }

    private static Html Strip(FaultFigures fault, LogAxis axis)
    {
        var times = fault.ConvergeMs!;
        var told = $"p50 {Layout.Milliseconds(times.P50)}, p95 {Layout.Milliseconds(times.P95)}, max {Layout.Milliseconds(times.Max)}";
        return Html.Of($"""
            <code>{fault.Fault}</code>
            <svg role="img" height="{RowHeight}"><title>{fault.Fault}, time to converge over {times.Count} cycles: {told}</title>{Grid(axis, RowHeight)}<rect class="box" x="{axis.At(times.P50)}" y="6" width="{axis.Between(times.P50, times.P95)}" height="14"/><line class="whisker" x1="{axis.At(fault.ConvergeMsByCycle.Min())}" x2="{axis.At(times.Max)}" y1="{RowMiddle}" y2="{RowMiddle}"/>{Html.Each(fault.ConvergeMsByCycle, time => Html.Of($"""<circle class="dot faint" cx="{axis.At(time)}" cy="{RowMiddle}" r="3"/>"""))}<line class="whisker" x1="{axis.At(times.Max)}" x2="{axis.At(times.Max)}" y1="7" y2="19"/><line class="middle" x1="{axis.At(times.P50)}" x2="{axis.At(times.P50)}" y1="4" y2="22"/></svg>
            <span class="figures">{told}</span>

            """);
    }

    private static Html Scale(LogAxis axis) => Html.Of($"""
        <svg aria-hidden="true" height="{AxisHeight}">{Html.Each(axis.Ticks, tick => Html.Of($"""<text x="{axis.At(tick)}" y="13" text-anchor="{(tick == axis.Least ? "start" : tick == axis.Most ? "end" : "middle")}">{Tick(tick)}</text>"""))}</svg>
        """);

    private static Html Grid(LogAxis axis, int height) =>
        Html.Each(axis.Ticks, tick => Html.Of($"""<line class="grid" x1="{axis.At(tick)}" x2="{axis.At(tick)}" y1="0" y2="{height}"/>"""));

    private static string Tick(decimal milliseconds) => milliseconds >= 1000 ? $"{milliseconds / 1000:0} s" : $"{milliseconds:0} ms";

    private static string Percent(decimal share) => $"{share * 100:0.##}%";

    /// <summary>Whole decades of milliseconds, from 1 ms on.</summary>
    private sealed record LogAxis(decimal Least, decimal Most)
    {
        private const decimal Decade = 10;

        public IEnumerable<decimal> Ticks
        {
            get
            {
                for (var tick = Least; tick <= Most; tick *= Decade)
                {
                    yield return tick;
                }
            }
        }

        public static LogAxis Of(IEnumerable<decimal> values)
        {
            var all = values.ToList();
            var least = 1m;
            while (least * Decade <= all.Min())
            {
                least *= Decade;
            }

            var most = least * Decade;
            while (most < all.Max())
            {
                most *= Decade;
            }

            return new(least, most);
        }

        public string At(decimal value) => Percent(Share(value));

        public string Between(decimal from, decimal to) => Percent(Share(to) - Share(from));

        private decimal Share(decimal value) => (decimal)(Math.Log10((double)(Math.Max(value, Least) / Least)) / Math.Log10((double)(Most / Least)));
    }
}
