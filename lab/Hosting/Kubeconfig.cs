// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Text;

namespace VpcCni.Lab.Hosting;

/// <summary>A kubeconfig (https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/) for a lab.</summary>
internal static class Kubeconfig
{
    /// <param name="loopback">Where the lab listens on the machine, in plain HTTP; null for nowhere.</param>
    /// <param name="inside">Where it listens for its nodes, with TLS.</param>
    /// <param name="authority">The certificate authority, PEM.</param>
    /// <param name="token">Of an administrator.</param>
    public static string Text(IPEndPoint? loopback, IPEndPoint inside, string authority, string token)
    {
        var lab = loopback is null
            ? ""
            : $$"""
                - name: lab
                  cluster:
                    server: http://{{loopback}}

                """;
        var labContext = loopback is null
            ? ""
            : """
                - name: lab
                  context: { cluster: lab, user: admin }

                """;
        return $$"""
            # Of a running vpc-lab; gone when the lab ends.
            apiVersion: v1
            kind: Config
            current-context: {{(loopback is null ? "node" : "lab")}}
            clusters:
            {{lab}}- name: node
              cluster:
                server: https://{{inside}}
                certificate-authority-data: {{Convert.ToBase64String(Encoding.UTF8.GetBytes(authority))}}
            contexts:
            {{labContext}}- name: node
              context: { cluster: node, user: admin }
            users:
            - name: admin
              user:
                token: {{token}}

            """;
    }
}
