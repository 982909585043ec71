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
        text.WriteLine(
            "Everything is set by environment variables, read once at the start; a restart of the daemon applies a change, and pods "
                + "keep their addresses and connections meanwhile. Variables of the AWS VPC CNI keep their"
        );
        text.WriteLine(
            "names; what is ours begins with `VPCCNI_`. A variable that is set to nothing counts as not set. A flag may be `true`, "
                + "`false`, `1`, `0`, `t` or `f`."
        );
        text.WriteLine();
        text.WriteLine(
            "A value that is not allowed forbids the start: exit code 1, and all problems of the environment at once on stderr. "
                + "Where the table says what happens *otherwise*, the daemon starts with a warning, as the AWS VPC CNI does;"
        );
        text.WriteLine(
            "a number above its bound counts as the bound there. An unknown variable that looks meant for us, and a combination in "
                + "which one setting wins over another, is a warning, too: in the log and in `ipamd status`, which also"
        );
        text.WriteLine(
            "shows where each target comes from. Why the other values are refused: [adr/0009-deviations.md](adr/0009-deviations.md)."
        );
        text.WriteLine();
        text.WriteLine(
            "Read by: **d** the daemon (`ipamd run`), **i** the init container (`ipamd init`), **p** the installation of the plugin "
                + "and its configuration (`ipamd install`)."
        );
        foreach (var group in OptionTable.Groups)
            Table(text, group);
        text.WriteLine();
        text.WriteLine("## Credentials, and variables that the AWS SDK reads");
        text.WriteLine();
        text.WriteLine(
            "Credentials are looked for as by every AWS program, in this order. What is found is renewed before it expires; "
                + "nothing of it is logged."
        );
        text.WriteLine();
        text.WriteLine("| Source | Variables |");
        text.WriteLine("|---|---|");
        foreach (var (source, variables) in SdkCredentials)
            text.WriteLine($"| {source} | {variables} |");
        text.WriteLine();
        text.WriteLine(
            "The profile's own `region`, and `endpoint_url` of EC2 and STS, count where no variable says otherwise. "
                + "A role of a profile is assumed with `source_profile` (one with an access key) or `credential_source`."
        );
        text.WriteLine(
            "`AWS_ENDPOINT_URL_STS` is STS's URL, as `AWS_ENDPOINT_URL_EC2` is EC2's. `AWS_USE_FIPS_ENDPOINT` and "
                + "`AWS_USE_DUALSTACK_ENDPOINT` choose among the region's; `HTTPS_PROXY` and `NO_PROXY` are followed."
        );
        text.WriteLine();
        text.WriteLine("## Variables of the AWS VPC CNI without effect");
        text.WriteLine();
        text.WriteLine("| Variable | Instead |");
        text.WriteLine("|---|---|");
        foreach (var option in OptionTable.Ignored.OrderBy(option => option.Name, StringComparer.Ordinal))
            text.WriteLine($"| `{option.Name}` | {Cell(option.Why)} |");
        return text.ToString();
    }

    /// <summary>Read by the SDK, and by nothing of ours; tests/EndToEnd/Daemon/AwsVariablesTests.cs has one test for each.</summary>
    private static IEnumerable<(string Source, string Variables)> SdkCredentials =>
        [
            ("access key", "`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`"),
            ("web identity (IAM roles for service accounts)", "`AWS_ROLE_ARN`, `AWS_WEB_IDENTITY_TOKEN_FILE`, `AWS_ROLE_SESSION_NAME`"),
            ("profile of the shared files", "`AWS_PROFILE`, `AWS_CONFIG_FILE`, `AWS_SHARED_CREDENTIALS_FILE`"),
            (
                "container (EKS Pod Identity)",
                "`AWS_CONTAINER_CREDENTIALS_FULL_URI` or `AWS_CONTAINER_CREDENTIALS_RELATIVE_URI`, "
                    + "`AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE` or `AWS_CONTAINER_AUTHORIZATION_TOKEN`"
            ),
            ("instance profile", "`AWS_EC2_METADATA_SERVICE_ENDPOINT`; `AWS_EC2_METADATA_DISABLED=true` turns this source off"),
        ];

    private static void Table(StringWriter text, OptionGroup group)
    {
        text.WriteLine();
        text.WriteLine($"## {group.Title}");
        text.WriteLine();
        text.WriteLine("| Variable | Default | Unit or values | Meaning | Differs from the AWS VPC CNI | Read by |");
        text.WriteLine("|---|---|---|---|---|---|");
        foreach (var option in group.Options)
        {
            text.WriteLine(
                $"| `{option.Name}` | {Default(option)} | "
                    + $"{Cell(Values(option))}{(option.Otherwise is { } otherwise ? $"; otherwise {otherwise}" : "")} | "
                    + $"{Cell(option.Meaning)} | {Cell(option.IsOurs ? "ours" : option.Deviation ?? "")} | {Readers(option.ReadBy)} |"
            );
        }
    }

    private static string Default(OptionDefinition option) =>
        option is NumberOption { Fallback: null } ? option.Default
        : option.Default.Length == 0 ? ""
        : $"`{option.Default}`";

    private static string Values(OptionDefinition option) =>
        option switch
        {
            FlagOption => "flag",
            NumberOption number => $"{number.Minimum} to {number.Maximum}{(option.Unit.Length > 0 ? $" {option.Unit}" : "")}",
            ChoiceOption choice => string.Join(", ", choice.Allowed.Select(word => $"`{word}`")),
            _ => option.Expected,
        };

    private static string Readers(OptionReaders readers) =>
        string.Join(
            ", ",
            new[] { (OptionReaders.Daemon, "d"), (OptionReaders.Init, "i"), (OptionReaders.Install, "p") }
                .Where(item => readers.HasFlag(item.Item1))
                .Select(item => item.Item2)
        );

    private static string Cell(string words) => words.Replace("|", "\\|", StringComparison.Ordinal);
}
