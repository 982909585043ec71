// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Lab.Cli.Demo;

/// <summary>A line of the demo's report: the outcome of a step or a check.</summary>
internal sealed record DemoLine(string What, bool Passed, TimeSpan Elapsed, string Detail);

/// <summary>Runs the steps and checks of the demo, measures their duration, prints each when it ends, and records failures.</summary>
internal sealed class DemoReport(TextWriter output, TimeProvider time)
{
    private readonly List<DemoLine> _lines = [];

    public bool AllPassed => _lines.TrueForAll(line => line.Passed);

    public IReadOnlyList<DemoLine> Failures => [.. _lines.Where(line => !line.Passed)];

    public int Count => _lines.Count;

    public Task HeaderAsync() => output.WriteLineAsync($"{"STEP OR CHECK", -46} {"RESULT", -6} {"TIME", 8}  DETAIL");

    /// <summary>Runs a step that later steps depend on.</summary>
    /// <exception cref="DemoStoppedException">The step failed.</exception>
    public async Task StepAsync(string what, Func<Task<string>> body)
    {
        if (!await RunAsync(what, body))
            throw new DemoStoppedException();
    }

    /// <summary>Runs a check. If it fails, the failure is recorded and the demo continues.</summary>
    public Task CheckAsync(string what, Func<Task<string>> body) => RunAsync(what, body);

    /// <summary>Runs several checks that are printed as one line; each is counted and recorded separately.</summary>
    public async Task RoundAsync(string what, Func<Task<(string Detail, IReadOnlyList<DemoLine> Checks)>> body)
    {
        IReadOnlyList<DemoLine> checks = [];
        await RunAsync(
            what,
            async () =>
            {
                (var detail, checks) = await body();
                return detail;
            },
            () => checks.All(check => check.Passed)
        );
        _lines.AddRange(checks);
    }

    private async Task<bool> RunAsync(string what, Func<Task<string>> body, Func<bool>? passed = null)
    {
        var started = time.GetTimestamp();
        DemoLine line;
        try
        {
            var detail = await body();
            line = new DemoLine(what, passed?.Invoke() ?? true, time.GetElapsedTime(started), detail);
        }
        catch (Exception error) when (error is not OperationCanceledException)
        {
            line = new DemoLine(what, Passed: false, time.GetElapsedTime(started), error.Message);
        }

        _lines.Add(line);
        await output.WriteLineAsync($"{line.What, -46} {(line.Passed ? "ok" : "FAILED"), -6} {Format(line.Elapsed), 8}  {line.Detail}");
        await output.FlushAsync();
        return line.Passed;
    }

    private static string Format(TimeSpan elapsed) =>
        elapsed.TotalSeconds >= 1 ? $"{elapsed.TotalSeconds:F1} s" : $"{elapsed.TotalMilliseconds:F1} ms";
}

/// <summary>A step failed that later steps depend on. The report has printed the reason.</summary>
internal sealed class DemoStoppedException : Exception;
