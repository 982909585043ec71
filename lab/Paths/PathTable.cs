// SPDX-License-Identifier: Apache-2.0
using System.Globalization;

namespace VpcCni.Lab.Paths;

/// <summary>
/// The matrix: each path in each round, with how many packets its links carried. Rounds are columns, in groups of one lab each.
/// </summary>
internal sealed class PathTable
{
    private const string NotThere = "-";
    private const string Failed = "FAILED";

    private readonly List<(string Group, string Round)> _rounds = [];
    private readonly List<string> _paths = [];
    private readonly Dictionary<string, List<string>> _ways = [];
    private readonly Dictionary<(string Path, string Group, string Round), PathMeasure?> _cells = [];

    /// <param name="group">The lab.</param>
    /// <param name="round">What had happened to it before.</param>
    /// <param name="path">Which path.</param>
    /// <param name="measure">Null: the check failed.</param>
    public void Add(string group, string round, string path, PathMeasure? measure)
    {
        if (!_rounds.Contains((group, round)))
            _rounds.Add((group, round));
        if (!_paths.Contains(path))
            _paths.Add(path);
        _cells[(path, group, round)] = measure;
        if (measure is null)
            return;
        if (!_ways.TryGetValue(path, out var ways))
            _ways[path] = ways = [];
        if (!ways.Contains(measure.Way))
            ways.Add(measure.Way);
    }

    public async Task WriteAsync(TextWriter output)
    {
        if (_paths.Count == 0)
            return;
        var pathWidth = _paths.Max(path => path.Length);
        var ways = _paths.ToDictionary(path => path, path => string.Join(" or ", _ways.GetValueOrDefault(path, [NotThere])));
        var wayWidth = ways.Values.Max(way => way.Length);
        var groups = "";
        var heads = "";
        foreach (var group in _rounds.GroupBy(round => round.Group))
        {
            var columns = string.Concat(group.Select(round => $"  {round.Round.PadLeft(CellWidth(round.Round))}"));
            heads += columns + "  ";
            groups += $"  {group.Key}".PadRight(columns.Length) + "  ";
        }

        await output.WriteLineAsync($"{new string(' ', pathWidth)}  {new string(' ', wayWidth)}{groups}".TrimEnd());
        await output.WriteLineAsync($"{"PATH".PadRight(pathWidth)}  {"TOOK".PadRight(wayWidth)}{heads}".TrimEnd());
        foreach (var path in _paths)
            await output.WriteLineAsync($"{path.PadRight(pathWidth)}  {ways[path].PadRight(wayWidth)}{Cells(path)}".TrimEnd());
    }

    private string Cells(string path) =>
        string.Concat(
            _rounds
                .GroupBy(round => round.Group)
                .Select(group => string.Concat(group.Select(round => $"  {Cell(path, round).PadLeft(CellWidth(round.Round))}")) + "  ")
        );

    private string Cell(string path, (string Group, string Round) round) =>
        _cells.TryGetValue((path, round.Group, round.Round), out var measure)
            ? measure?.Packets.ToString(CultureInfo.InvariantCulture) ?? Failed
            : NotThere;

    private static int CellWidth(string round) => Math.Max(round.Length, Failed.Length);
}
