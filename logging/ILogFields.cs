// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Logging;

/// <summary>A value that is logged as several fields with their own names.</summary>
public interface ILogFields
{
    /// <summary>Adds the fields to the line.</summary>
    /// <param name="line">The line to add to.</param>
    /// <param name="name">Name of the value in the log entry.</param>
    void AddTo(LogLine line, string name);
}
