// SPDX-License-Identifier: Apache-2.0
using System.Globalization;

namespace VpcCni.Ipamd.Cli;

/// <summary>Determines the maximum width of tables.</summary>
internal static class Terminal
{
    /// <param name="isRedirected">Whether the output is not a terminal.</param>
    /// <param name="window">Returns the terminal's width; 0 if it has none (a serial console).</param>
    /// <param name="variable">COLUMNS, which shells do not export by default.</param>
    /// <returns>The width in columns; null for a pipe or file, where nothing is truncated.</returns>
    public static int? Columns(bool isRedirected, Func<int> window, string? variable)
    {
        if (!isRedirected && window() is var width and > 0)
            return width;
        return int.TryParse(variable, NumberStyles.None, CultureInfo.InvariantCulture, out var columns) && columns > 0 ? columns : null;
    }
}
