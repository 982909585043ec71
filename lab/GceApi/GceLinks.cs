// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Lab.GceApi;

/// <summary>
/// URLs of resources. As from Google, they have the host <c>www.googleapis.com</c> wherever the API was reached: they are names, not
/// addresses to connect to.
/// </summary>
internal static class GceLinks
{
    private const string Root = "https://www.googleapis.com/compute/v1/";

    /// <summary>URL of a resource by its path, for example <c>projects/p/global/networks/n</c>.</summary>
    public static string Of(string path) => Root + path;

    /// <summary>
    /// Splits a reference to a resource into the segments after <c>projects/P</c>. Accepts a full URL of any host, a path with a project,
    /// and a path without one, as the API does. Null if it is malformed or names another project.
    /// </summary>
    public static string[]? Segments(string reference, string project)
    {
        var path = reference;
        if (Uri.TryCreate(reference, UriKind.Absolute, out var uri) && uri.Scheme is "http" or "https")
        {
            path = uri!.AbsolutePath;
            const string ServicePath = "/compute/v1/";
            if (!path.StartsWith(ServicePath, StringComparison.Ordinal))
                return null;
            path = path[ServicePath.Length..];
        }

        var segments = path.Trim('/').Split('/');
        return segments switch
        {
            ["projects", var named, .. var rest] => named == project ? rest : null,
            _ => segments,
        };
    }
}
