// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Logging;

/// <summary>A value that is written as several fields of a log line, under names of its own.</summary>
public interface ILogFields
{
    /// <summary>Adds the value's parts to the line.</summary>
    /// <param name="line">The line that is being built.</param>
    /// <param name="name">The name that the value has in the entry.</param>
    void AddTo(LogLine line, string name);
}
