// SPDX-License-Identifier: Apache-2.0
using System.Security.Cryptography.X509Certificates;
using k8s.Authentication;
using k8s.Exceptions;

namespace k8s;

/// <summary>Where the API server is and how to be let in.</summary>
public class KubernetesClientConfiguration
{
    private const string ServiceAccountPath = "/var/run/secrets/kubernetes.io/serviceaccount/";

    /// <summary>URL of the API server, e.g. <c>https://10.100.0.1:443</c>; a path in it is kept.</summary>
    public string? Host { get; set; }

    /// <summary>Namespace of the pod that runs this, where the configuration knows it.</summary>
    public string? Namespace { get; set; }

    /// <summary>Authorities that may have signed the server's certificate; the system's when null or empty.</summary>
    public X509Certificate2Collection? SslCaCerts { get; set; }

    /// <summary>A bearer token that does not change; <see cref="TokenProvider"/> wins over it.</summary>
    public string? AccessToken { get; set; }

    /// <summary>Asked for a bearer token before every request.</summary>
    public ITokenProvider? TokenProvider { get; set; }

    public string? UserAgent { get; set; }

    /// <summary>For a whole request and its answer; for a watch, until its headers are there.</summary>
    public TimeSpan HttpClientTimeout { get; set; } = TimeSpan.FromSeconds(100);

    /// <summary>Whether kubelet gave this process a service account and the address of the API server.</summary>
    public static bool IsInCluster()
        => Variable("KUBERNETES_SERVICE_HOST").Length > 0 && Variable("KUBERNETES_SERVICE_PORT").Length > 0 && File.Exists(ServiceAccountPath + "token") && File.Exists(ServiceAccountPath + "ca.crt");

    /// <summary>The configuration of a pod: address from the environment; token, authority and namespace from the projected volume.</summary>
    /// <exception cref="KubeConfigException">This is not a pod with a service account.</exception>
    public static KubernetesClientConfiguration InClusterConfig()
    {
        if (!IsInCluster())
        {
            throw new KubeConfigException("not in a cluster: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT must be set, and the service account's token and ca.crt must be in " + ServiceAccountPath);
        }

        var configuration = new KubernetesClientConfiguration
        {
            Host = new UriBuilder(Uri.UriSchemeHttps, Variable("KUBERNETES_SERVICE_HOST"), int.Parse(Variable("KUBERNETES_SERVICE_PORT"))).Uri.ToString(),
            TokenProvider = new TokenFileAuth(ServiceAccountPath + "token"),
            SslCaCerts = CertUtils.LoadPemFileCert(ServiceAccountPath + "ca.crt"),
        };
        if (File.Exists(ServiceAccountPath + "namespace")) configuration.Namespace = File.ReadAllText(ServiceAccountPath + "namespace").Trim();
        return configuration;
    }

    private static string Variable(string name) => Environment.GetEnvironmentVariable(name) ?? "";
}
