// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Logging;

/// <summary>Format of log lines; fields and their order are the same in both.</summary>
public enum LogFormat
{
    /// <summary>logfmt: <c>time=... level=info msg="..." pod=default/web-1</c>.</summary>
    Text,

    /// <summary>One JSON object per line.</summary>
    Json,
}
