// SPDX-License-Identifier: Apache-2.0
using System.Text.RegularExpressions;

namespace VpcCni.Ipamd.Options;

/// <summary>
/// Variables that look meant for us and are not known: a misspelt name would otherwise be ignored in silence. Variables of others (AWS
/// SDKs, Kubernetes, the runtime) are left alone.
/// </summary>
internal static partial class UnknownVariables
{
    /// <summary>Nobody else uses these: whatever begins so is meant for us.</summary>
    private static readonly string[] Families =
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

    /// <summary>Of others; the names of some are near to ours.</summary>
    private static readonly string[] Foreign = ["AWS_", "KUBERNETES_", "DOTNET_", "ASPNETCORE_", "GODEBUG", "SSL_", "LC_"];

    /// <summary>Shorter names are near to many words.</summary>
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
            var isOurs = Families.Any(family => name.StartsWith(family, StringComparison.OrdinalIgnoreCase));
            if (!isOurs && Foreign.Any(family => name.StartsWith(family, StringComparison.Ordinal)))
                continue;
            // One slip in six letters, two or more in long names; of what is surely ours, more.
            var within =
                isOurs ? Math.Max(2, name.Length / 4)
                : name.Length < ShortestNameToGuess ? 0
                : Math.Min(2, name.Length / 6);
            var near = Spelling.Near(name, known.Concat(ignored.Keys), within).FirstOrDefault();
            if (near is not null)
                yield return $"{name} is not known and has no effect; did you mean {near}?";
            else if (isOurs)
                yield return $"{name} is not known and has no effect; docs/configuration.md lists what there is";
        }
    }

    /// <summary>
    /// What kubelet sets for every service of the namespace (Kubernetes, "Service: environment variables"); a service may be called
    /// warm-cache.
    /// </summary>
    [GeneratedRegex(
        "_(SERVICE_HOST|SERVICE_PORT(_.*)?|PORT(_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$",
        RegexOptions.ExplicitCapture,
        matchTimeoutMilliseconds: 1000
    )]
    private static partial Regex IsServiceLink();
}
