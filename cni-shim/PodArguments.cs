// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Shim;

/// <summary>
/// What Kubernetes runtimes put into CNI_ARGS (<c>K=V;K=V</c>). Every key may be absent: podman sends a pod name without a namespace, and
/// a runtime outside Kubernetes sends nothing. Other keys are ignored, whether or not IgnoreUnknown is set.
/// </summary>
internal sealed record PodArguments(string Name, string Namespace, string InfraContainerId, string Uid)
{
    private const string OurKeys = "K8S_POD_";

    public static readonly PodArguments None = new("", "", "", "");

    /// <summary>Returns the problem of the text, or null.</summary>
    public static string? TryParse(string? text, out PodArguments arguments)
    {
        arguments = None;
        if (string.IsNullOrEmpty(text))
            return null;
        foreach (var pair in text.Split(';', StringSplitOptions.RemoveEmptyEntries))
        {
            var equals = pair.IndexOf('=', StringComparison.Ordinal);
            if (equals <= 0)
                return $"'{Invocation.Printable(pair)}' is not KEY=VALUE";
            var value = pair[(equals + 1)..];
            if (value.Length > Limits.NameLength && pair.StartsWith(OurKeys, StringComparison.Ordinal))
                return $"{pair[..equals]} has {value.Length} characters, at most {Limits.NameLength} are taken";
            switch (pair.AsSpan(0, equals))
            {
                case "K8S_POD_NAME":
                    arguments = arguments with { Name = value };
                    break;
                case "K8S_POD_NAMESPACE":
                    arguments = arguments with { Namespace = value };
                    break;
                case "K8S_POD_INFRA_CONTAINER_ID":
                    arguments = arguments with { InfraContainerId = value };
                    break;
                case "K8S_POD_UID":
                    arguments = arguments with { Uid = value };
                    break;
            }
        }
        return null;
    }
}
