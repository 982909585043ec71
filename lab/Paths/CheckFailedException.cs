// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Lab.Paths;

/// <summary>A check failed. The message says what it found and what it expected.</summary>
internal sealed class CheckFailedException(string message) : Exception(message);
