// SPDX-License-Identifier: Apache-2.0
using System.Globalization;

namespace VpcCni.Ipamd.Cli;

/// <summary>How wide a table may be.</summary>
internal static class Terminal
{
    /// <param name="isRedirected">The output is no terminal.</param>
    /// <param name="window">The terminal's width; 0 where it has none (a serial console).</param>
    /// <param name="variable">COLUMNS, which a shell exports only when it is told to.</param>
    /// <returns>Null: a pipe or a file, where nothing is to be cut.</returns>
    public static int? Columns(bool isRedirected, Func<int> window, string? variable)
    {
        if (!isRedirected && window() is var width and > 0)
            return width;
        return int.TryParse(variable, NumberStyles.None, CultureInfo.InvariantCulture, out var columns) && columns > 0 ? columns : null;
    }
}
