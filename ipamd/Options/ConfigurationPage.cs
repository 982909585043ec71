// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Ipamd.Options;

/// <summary>Renders docs/configuration.md from <see cref="OptionTable"/>.</summary>
internal static class ConfigurationPage
{
    public static string Render()
    {
        var text = new StringWriter { NewLine = "\n" };
        text.WriteLine("# Configuration");
        text.WriteLine();
        text.WriteLine("<!-- Generated from ipamd/Options/OptionTable*.cs by a test; edit those. -->");
        text.WriteLine();
        text.WriteLine(
            "The daemon reads environment variables once, at its start. Restart it to apply a change; pods keep their addresses and "
                + "connections meanwhile. Variables of the AWS VPC CNI keep their names; further ones begin with"
        );
        text.WriteLine("`VPCCNI_`. An empty variable counts as not set. A flag is `true`, `false`, `1`, `0`, `t` or `f`.");
        text.WriteLine();
        text.WriteLine(
            "With an invalid value, the daemon does not start: it prints all problems on stderr and exits with code 1 "
                + "([why](adr/0009-deviations.md)). Where the table says what happens *otherwise*, the daemon starts with a"
        );
        text.WriteLine(
            "warning, as the AWS VPC CNI does, and replaces a number above its bound by the bound. It also warns of an unknown variable "
                + "that resembles one of these, and of a setting that another one overrides. Warnings are in"
        );
        text.WriteLine("the log and in `ipamd status`, which also shows where each target comes from.");
        text.WriteLine();
        text.WriteLine(
            "Read by: **d** the daemon (`ipamd run`), **i** the init container (`ipamd init`), **p** the installer of the plugin "
                + "and its configuration (`ipamd install`)."
        );
        foreach (var group in OptionTable.Groups)
            Table(text, group);
        text.WriteLine();
        text.WriteLine("## Credentials, and variables that the AWS SDK reads");
        text.WriteLine();
        text.WriteLine(
            "The daemon looks for credentials in this order, as every AWS SDK does, and renews them before they expire. It "
                + "never logs them."
        );
        text.WriteLine();
        text.WriteLine("| Source | Variables |");
        text.WriteLine("|---|---|");
        foreach (var (source, variables) in SdkCredentials)
            text.WriteLine($"| {source} | {variables} |");
        text.WriteLine();
        text.WriteLine(
            "The profile's `region`, and its `endpoint_url` of EC2 and STS, apply where no variable is set. "
                + "A profile with a role needs a `source_profile` (with an access key) or a `credential_source`."
        );
        text.WriteLine(
            "`AWS_ENDPOINT_URL_STS` is the URL of STS, as `AWS_ENDPOINT_URL_EC2` is that of EC2. `AWS_USE_FIPS_ENDPOINT` and "
                + "`AWS_USE_DUALSTACK_ENDPOINT` select among the region's endpoints. `HTTPS_PROXY` and `NO_PROXY` are respected."
        );
        text.WriteLine();
        text.WriteLine("## Variables of the AWS VPC CNI without effect");
        text.WriteLine();
        text.WriteLine("| Variable | Reason |");
        text.WriteLine("|---|---|");
        foreach (var option in OptionTable.Ignored.OrderBy(option => option.Name, StringComparer.Ordinal))
            text.WriteLine($"| `{option.Name}` | {Cell(option.Why)} |");
        return text.ToString();
    }

    /// <summary>Variables that only the AWS SDK reads; tests/EndToEnd/Daemon/AwsVariablesTests.cs has one test for each.</summary>
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
                    + $"{Cell(option.Meaning)} | {Cell(option.IsOurs ? "not in the AWS VPC CNI" : option.Deviation ?? "")} | "
                    + $"{Readers(option.ReadBy)} |"
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
