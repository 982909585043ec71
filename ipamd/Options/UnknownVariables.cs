// SPDX-License-Identifier: Apache-2.0
using System.Text.RegularExpressions;

namespace VpcCni.Ipamd.Options;

/// <summary>
/// Warns of unknown variables that resemble the daemon's: a misspelt name would otherwise be ignored silently. Variables of others (AWS
/// SDKs, Kubernetes, the runtime) are not reported.
/// </summary>
internal static partial class UnknownVariables
{
    /// <summary>Prefixes that no other program uses; a variable with one of them is meant for the daemon.</summary>
    private static readonly string[] OwnPrefixes =
    [
        "AWS_VPC_",
        "AWS_EXTERNAL_SERVICE_",
        "AWS_MANAGE_",
        "VPCCNI_",
        "WARM_",
        "MINIMUM_IP",
        "MAX_ENI",
        "ENI_CONFIG_",
        "IP_COOLDOWN",
        "ADDITIONAL_ENI",
        "POD_SECURITY_GROUP_",
        "NETWORK_POLICY_ENFORCING",
        "ENABLE_",
        "DISABLE_",
        "MANAGE_UNTAGGED",
        "ANNOTATE_POD",
        "INTROSPECTION_",
        "HOST_CNI_",
    ];

    /// <summary>Prefixes of other programs; some of their names resemble the daemon's.</summary>
    private static readonly string[] ForeignPrefixes = ["AWS_", "KUBERNETES_", "DOTNET_", "ASPNETCORE_", "GODEBUG", "SSL_", "LC_"];

    /// <summary>Minimum length of a name to correct; shorter ones resemble many words.</summary>
    private const int ShortestNameToGuess = 6;

    public static IEnumerable<string> Warnings(IReadOnlyDictionary<string, string> environment)
    {
        var known = OptionTable.All.Select(option => option.Name).ToHashSet(StringComparer.Ordinal);
        var ignored = OptionTable.Ignored.ToDictionary(option => option.Name, StringComparer.Ordinal);
        foreach (var (name, value) in environment.OrderBy(pair => pair.Key, StringComparer.Ordinal))
        {
            if (known.Contains(name))
                continue;
            if (ignored.TryGetValue(name, out var option))
            {
                if (option.WarnsOf(value))
                    yield return $"{name} has no effect: {option.Why}";
                continue;
            }

            if (IsServiceLink().IsMatch(name))
                continue;
            var hasOwnPrefix = OwnPrefixes.Any(prefix => name.StartsWith(prefix, StringComparison.OrdinalIgnoreCase));
            if (!hasOwnPrefix && ForeignPrefixes.Any(prefix => name.StartsWith(prefix, StringComparison.Ordinal)))
                continue;
            // Allows one edit per six letters, at most two; more for a name that is surely meant for the daemon.
            var within =
                hasOwnPrefix ? Math.Max(2, name.Length / 4)
                : name.Length < ShortestNameToGuess ? 0
                : Math.Min(2, name.Length / 6);
            var near = Spelling.Near(name, known.Concat(ignored.Keys), within).FirstOrDefault();
            if (near is not null)
                yield return $"{name} is not known and has no effect; did you mean {near}?";
            else if (hasOwnPrefix)
                yield return $"{name} is not known and has no effect; docs/configuration.md lists all variables";
        }
    }

    /// <summary>
    /// Matches the variables that kubelet sets for every service of the namespace (Kubernetes, "Service: environment variables"); a service
    /// may be called warm-cache.
    /// </summary>
    [GeneratedRegex(
        "_(SERVICE_HOST|SERVICE_PORT(_.*)?|PORT(_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$",
        RegexOptions.ExplicitCapture,
        matchTimeoutMilliseconds: 1000
    )]
    private static partial Regex IsServiceLink();
}
