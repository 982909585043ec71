// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Ipamd.Clouds;

/// <summary>One attempt of one call of the control plane or of the instance metadata, for metrics.</summary>
/// <param name="Operation">The cloud's name of the call.</param>
/// <param name="Code">The cloud's error code; empty on success.</param>
/// <param name="Status">HTTP status; 0 without an answer.</param>
/// <param name="Duration">Time until the answer or the failure.</param>
internal readonly record struct CloudAttempt(string Operation, string Code, int Status, TimeSpan Duration);
