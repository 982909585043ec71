// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Text;

namespace VpcCni.Lab.Hosting;

/// <summary>Writes a lab's kubeconfig (https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/).</summary>
internal static class Kubeconfig
{
    /// <param name="loopback">The plain HTTP endpoint on the machine's loopback; null for none.</param>
    /// <param name="inside">The TLS endpoint that the lab's nodes reach.</param>
    /// <param name="authority">The certificate authority, PEM.</param>
    /// <param name="token">An administrator's token.</param>
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
            # Written by vpc-lab; removed when the lab ends.
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
