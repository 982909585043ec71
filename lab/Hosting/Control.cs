// SPDX-License-Identifier: Apache-2.0
using System.Text.Json.Nodes;

namespace VpcCni.Lab.Hosting;

/// <summary>Body of <c>POST /pods</c> of the control API.</summary>
internal sealed record AddPodRequest(string Node, string Pod);

/// <param name="Address">The first of the pod's addresses.</param>
/// <param name="Addresses">All of the pod's addresses, in the order of the plugin's result.</param>
internal sealed record AddPodReply(
    string Node,
    string Pod,
    string Address,
    IReadOnlyList<string> Addresses,
    double Milliseconds,
    JsonObject Result
);

internal sealed record DeletePodReply(string Node, string Pod, double Milliseconds);

internal sealed record RestartReply(string Node, double Milliseconds);

/// <summary>Body of every error reply of the control API: status 409 when the lab rejects the request, 500 when it fails.</summary>
internal sealed record ControlError(string Error);
