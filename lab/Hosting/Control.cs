// SPDX-License-Identifier: Apache-2.0
using System.Text.Json.Nodes;

namespace VpcCni.Lab.Hosting;

/// <summary>
/// Bodies of the control API. Errors are <see cref="ControlError"/> with status 409 (the lab refuses) or 500 (it failed).
/// </summary>
internal sealed record AddPodRequest(string Node, string Pod);

internal sealed record AddPodReply(string Node, string Pod, string Address, double Milliseconds, JsonObject Result);

internal sealed record DeletePodReply(string Node, string Pod, double Milliseconds);

internal sealed record RestartReply(string Node, double Milliseconds);

internal sealed record ControlError(string Error);
