// SPDX-License-Identifier: Apache-2.0
using System.Globalization;

namespace VpcCni.Lab.Paths;

/// <summary>
/// Table of the packets that each path's links carried in each round. Paths are rows; rounds are columns, grouped by lab.
/// </summary>
internal sealed class PathTable
{
    private const string Empty = "-";
    private const string Failed = "FAILED";

    private readonly List<(string Group, string Round)> _rounds = [];
    private readonly List<string> _paths = [];
    private readonly Dictionary<string, List<string>> _links = [];
    private readonly Dictionary<(string Path, string Group, string Round), PathMeasurement?> _cells = [];

    /// <summary>Adds the result of a check.</summary>
    /// <param name="group">The lab.</param>
    /// <param name="round">The round, named after what happened to the lab before it.</param>
    /// <param name="path">The path.</param>
    /// <param name="measurement">The result; null if the check failed.</param>
    public void Add(string group, string round, string path, PathMeasurement? measurement)
    {
        if (!_rounds.Contains((group, round)))
            _rounds.Add((group, round));
        if (!_paths.Contains(path))
            _paths.Add(path);
        _cells[(path, group, round)] = measurement;
        if (measurement is null)
            return;
        if (!_links.TryGetValue(path, out var links))
            _links[path] = links = [];
        if (!links.Contains(measurement.Links))
            links.Add(measurement.Links);
    }

    public async Task WriteAsync(TextWriter output)
    {
        if (_paths.Count == 0)
            return;
        var pathWidth = _paths.Max(path => path.Length);
        var links = _paths.ToDictionary(path => path, path => string.Join(" or ", _links.GetValueOrDefault(path, [Empty])));
        var linksWidth = links.Values.Max(text => text.Length);
        var groups = "";
        var heads = "";
        foreach (var group in _rounds.GroupBy(round => round.Group))
        {
            var columns = string.Concat(group.Select(round => $"  {round.Round.PadLeft(CellWidth(round.Round))}"));
            heads += columns + "  ";
            groups += $"  {group.Key}".PadRight(columns.Length) + "  ";
        }

        await output.WriteLineAsync($"{new string(' ', pathWidth)}  {new string(' ', linksWidth)}{groups}".TrimEnd());
        await output.WriteLineAsync($"{"PATH".PadRight(pathWidth)}  {"LINKS".PadRight(linksWidth)}{heads}".TrimEnd());
        foreach (var path in _paths)
            await output.WriteLineAsync($"{path.PadRight(pathWidth)}  {links[path].PadRight(linksWidth)}{Cells(path)}".TrimEnd());
    }

    private string Cells(string path) =>
        string.Concat(
            _rounds
                .GroupBy(round => round.Group)
                .Select(group => string.Concat(group.Select(round => $"  {Cell(path, round).PadLeft(CellWidth(round.Round))}")) + "  ")
        );

    private string Cell(string path, (string Group, string Round) round) =>
        _cells.TryGetValue((path, round.Group, round.Round), out var measurement)
            ? measurement?.Packets.ToString(CultureInfo.InvariantCulture) ?? Failed
            : Empty;

    private static int CellWidth(string round) => Math.Max(round.Length, Failed.Length);
}
