// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Logging;

/// <summary>How a line is written; the fields and their order are the same.</summary>
public enum LogFormat
{
    /// <summary>logfmt: <c>time=... level=info msg="..." pod=default/web-1</c>.</summary>
    Text,

    /// <summary>One JSON object a line.</summary>
    Json,
}
