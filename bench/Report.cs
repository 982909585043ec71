// SPDX-License-Identifier: Apache-2.0
using System.Globalization;
using System.Text.Json;

namespace VpcCni.Bench;

/// <summary>A figure of ours beside that of a peer. <paramref name="Peer"/> is null without a peer.</summary>
/// <param name="Reach">The goal as text; empty without a goal.</param>
/// <param name="Met">Whether the goal is met; null without a goal.</param>
internal sealed record Figure(
    string Name,
    string Against,
    double Ours,
    double? Peer,
    string Unit,
    int N,
    string Reach = "",
    bool? Met = null
)
{
    public double? Ratio => Peer is { } peer && peer > 0 ? Ours / peer : null;
}

/// <summary>Writes the table to standard output and the results to a JSON file.</summary>
internal static class Report
{
    public static string Table(IReadOnlyList<Figure> figures)
    {
        var text = new StringWriter { NewLine = "\n" };
        text.WriteLine($"{"figure", -28} {"unit", -7} {"ours", 9} {"peer", 9} {"ratio", 6} {"n", 4}  {"against", -15} goal");
        foreach (var figure in figures)
        {
            var goal = figure.Reach.Length == 0 ? "" : $"{figure.Reach}: {(figure.Met == true ? "met" : "NOT met")}";
            text.WriteLine(
                (
                    $"{figure.Name, -28} {figure.Unit, -7} {Number(figure.Ours), 9} {Number(figure.Peer), 9} {Number(figure.Ratio), 6} "
                    + $"{figure.N, 4}  {figure.Against, -15} {goal}"
                ).TrimEnd()
            );
        }

        return text.ToString();
    }

    public static void Write(string path, IReadOnlyList<Figure> figures)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        using var file = File.Create(path);
        using var json = new Utf8JsonWriter(file, new JsonWriterOptions { Indented = true });
        json.WriteStartArray();
        foreach (var figure in figures)
        {
            json.WriteStartObject();
            json.WriteString("name", figure.Name);
            json.WriteString("against", figure.Against);
            json.WriteNumber("ours", Math.Round(figure.Ours, 3));
            Write(json, "peer", figure.Peer);
            Write(json, "ratio", figure.Ratio);
            json.WriteString("unit", figure.Unit);
            json.WriteNumber("n", figure.N);
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    /// <summary>Returns the quantile of the samples, interpolated linearly.</summary>
    public static double Quantile(IReadOnlyList<double> samples, double share)
    {
        var sorted = samples.Order().ToList();
        var place = share * (sorted.Count - 1);
        var below = (int)place;
        return below + 1 < sorted.Count ? sorted[below] + ((place - below) * (sorted[below + 1] - sorted[below])) : sorted[^1];
    }

    private static string Number(double? value) =>
        value is { } number ? number.ToString(number >= 100 ? "0" : "0.00", CultureInfo.InvariantCulture) : "-";

    private static void Write(Utf8JsonWriter json, string name, double? value)
    {
        if (value is { } number)
            json.WriteNumber(name, Math.Round(number, 3));
        else
            json.WriteNull(name);
    }
}
