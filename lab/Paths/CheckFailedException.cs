// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Lab.Paths;

/// <summary>A check did not find what it expected.</summary>
internal sealed class CheckFailedException(string message) : Exception(message);
