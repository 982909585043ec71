// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Ipamd.Options;

/// <summary>docs/configuration.md, made from <see cref="OptionTable"/>.</summary>
internal static class ConfigurationPage
{
    public static string Render()
    {
        var text = new StringWriter { NewLine = "\n" };
        text.WriteLine("# Configuration");
        text.WriteLine();
        text.WriteLine("<!-- Made from ipamd/Options/OptionTable*.cs by a test; edit those. -->");
        text.WriteLine();
        text.WriteLine("Everything is set by environment variables, read once at the start; a restart of the daemon applies a change, and pods keep their addresses and connections meanwhile. Variables of the AWS VPC CNI keep their");
        text.WriteLine("names; what is ours begins with `VPCCNI_`. A variable that is set to nothing counts as not set. A flag may be `true`, `false`, `1`, `0`, `t` or `f`.");
        text.WriteLine();
        text.WriteLine("A value that is not allowed forbids the start: exit code 1, and all problems of the environment at once on stderr. Where the table says what happens *otherwise*, the daemon starts with a warning, as the AWS VPC CNI does;");
        text.WriteLine("a number above its bound counts as the bound there. An unknown variable that looks meant for us, and a combination in which one setting wins over another, is a warning, too: in the log and in `ipamd status`, which also");
        text.WriteLine("shows where each target comes from. Why the other values are refused: [adr/0009-deviations.md](adr/0009-deviations.md).");
        text.WriteLine();
        text.WriteLine("Read by: **d** the daemon (`ipamd run`), **i** the init container (`ipamd init`), **p** the installation of the plugin and its configuration (`ipamd install`).");
        foreach (var group in OptionTable.Groups) Table(text, group);
        text.WriteLine();
        text.WriteLine("## Variables of the AWS VPC CNI without effect");
        text.WriteLine();
        text.WriteLine("| Variable | Instead |");
        text.WriteLine("|---|---|");
        foreach (var option in OptionTable.Ignored.OrderBy(option => option.Name, StringComparer.Ordinal)) text.WriteLine($"| `{option.Name}` | {Cell(option.Why)} |");
        return text.ToString();
    }

    private static void Table(StringWriter text, OptionGroup group)
    {
        text.WriteLine();
        text.WriteLine($"## {group.Title}");
        text.WriteLine();
        text.WriteLine("| Variable | Default | Unit or values | Meaning | Differs from the AWS VPC CNI | Read by |");
        text.WriteLine("|---|---|---|---|---|---|");
        foreach (var option in group.Options)
        {
            text.WriteLine($"| `{option.Name}` | {Default(option)} | {Cell(Values(option))}{(option.Otherwise is { } otherwise ? $"; otherwise {otherwise}" : "")} | {Cell(option.Meaning)} | {Cell(option.IsOurs ? "ours" : option.Deviation ?? "")} | {Readers(option.ReadBy)} |");
        }
    }

    private static string Default(OptionDefinition option)
        => option is NumberOption { Fallback: null } ? option.Default : option.Default.Length == 0 ? "" : $"`{option.Default}`";

    private static string Values(OptionDefinition option) => option switch
    {
        FlagOption => "flag",
        NumberOption number => $"{number.Minimum} to {number.Maximum}{(option.Unit.Length > 0 ? $" {option.Unit}" : "")}",
        ChoiceOption choice => string.Join(", ", choice.Allowed.Select(word => $"`{word}`")),
        _ => option.Expected,
    };

    private static string Readers(OptionReaders readers)
        => string.Join(", ", new[] { (OptionReaders.Daemon, "d"), (OptionReaders.Init, "i"), (OptionReaders.Install, "p") }.Where(item => readers.HasFlag(item.Item1)).Select(item => item.Item2));

    private static string Cell(string words) => words.Replace("|", "\\|", StringComparison.Ordinal);
}
