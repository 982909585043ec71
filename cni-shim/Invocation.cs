// SPDX-License-Identifier: Apache-2.0
using System.Globalization;
using VpcCni.Datapath;

namespace VpcCni.Shim;

/// <summary>The environment of one call, validated. Values that the command does not use may be empty.</summary>
internal sealed record Invocation(
    CniCommand Command,
    string ContainerId,
    string Netns,
    string InterfaceName,
    PodArguments Pod,
    bool AllowOwnNamespace
)
{
    /// <summary>The key from which the names of the pod's links are built.</summary>
    public PodLinkKey LinkKey => new(Pod.Namespace, Pod.Name, ContainerId, InterfaceName);

    private delegate string? Validator(string value);

    private sealed record Variable(string Name, CniCommand RequiredFor, CniCommand CheckedFor, Validator Validate);

    private const CniCommand PerAttachment = CniCommand.Add | CniCommand.Del | CniCommand.Check;

    // CNI specification 1.1.0, "CNI operations". CNI_PATH is required where the specification requires it (GC), and not for the
    // commands in which only delegating plugins need it.
    private static readonly Variable[] Variables =
    [
        new("CNI_CONTAINERID", PerAttachment, PerAttachment, ContainerIdProblem),
        new("CNI_NETNS", CniCommand.Add | CniCommand.Check, CniCommand.Add | CniCommand.Check, NetnsProblem),
        new("CNI_IFNAME", PerAttachment, PerAttachment, InterfaceNameProblem),
        new("CNI_ARGS", CniCommand.None, PerAttachment, static value => PodArguments.TryParse(value, out _)),
        new("CNI_PATH", CniCommand.Gc, CniCommand.None, static _ => null),
    ];

    /// <summary>Reads and validates everything, so that one error names every bad variable.</summary>
    public static Invocation Read(Func<string, string?> environment)
    {
        var name = environment("CNI_COMMAND") ?? "";
        var command = CniCommands.Parse(name);
        if (command == CniCommand.None)
            throw new CniException(
                CniErrorCode.InvalidEnvironment,
                $"CNI_COMMAND: unknown command '{Printable(name)}', expected one of {CniCommands.Known}"
            );

        List<string>? problems = null;
        foreach (var variable in Variables)
        {
            var value = environment(variable.Name) ?? "";
            string? problem = null;
            if (value.Length == 0)
            {
                if (variable.RequiredFor.HasFlag(command))
                    problem = $"is not set, and {name} needs it";
            }
            else if (variable.CheckedFor.HasFlag(command))
            {
                problem = variable.Validate(value);
            }
            if (problem is not null)
                (problems ??= []).Add($"{variable.Name}: {problem}");
        }
        if (problems is not null)
            throw new CniException(CniErrorCode.InvalidEnvironment, $"invalid environment: {Listed(problems)}");

        PodArguments.TryParse(environment("CNI_ARGS"), out var pod);
        return new Invocation(
            command,
            environment("CNI_CONTAINERID") ?? "",
            environment("CNI_NETNS") ?? "",
            environment("CNI_IFNAME") ?? "",
            pod,
            string.Equals(environment("CNI_NETNS_OVERRIDE"), "true", StringComparison.OrdinalIgnoreCase)
        );
    }

    /// <summary>CNI specification: <c>^[a-zA-Z0-9][a-zA-Z0-9_.\-]*$</c>; the network name follows the same rule.</summary>
    public static bool IsIdentifier(string text)
    {
        if (text.Length == 0 || !char.IsAsciiLetterOrDigit(text[0]))
            return false;
        foreach (var c in text)
            if (!char.IsAsciiLetterOrDigit(c) && c is not ('_' or '.' or '-'))
                return false;
        return true;
    }

    /// <summary>
    /// The kernel's rule (dev_valid_name) and, stricter, that of the reference library. Returns null if the name is valid.
    /// </summary>
    public static string? InterfaceNameProblem(string name)
    {
        const int longest = 15; // IFNAMSIZ - 1
        if (name.Length > longest)
            return $"'{Printable(name)}' has {name.Length} characters, the kernel takes at most {longest}";
        if (name is "." or "..")
            return $"'{name}' is not an interface name";
        foreach (var c in name)
            if (c is '/' or ':' or '%' || char.IsWhiteSpace(c) || !char.IsAscii(c) || char.IsControl(c))
                return $"'{Printable(name)}' contains '/', ':', '%', a space, or something that is not printable ASCII";
        return null;
    }

    private static string? ContainerIdProblem(string value) =>
        value.Length > Limits.NameLength ? $"'{Printable(value)}' has {value.Length} characters, at most {Limits.NameLength} are taken"
        : IsIdentifier(value) ? null
        : $"'{Printable(value)}' is not an identifier: a letter or digit, then letters, digits, '_', '.' or '-'";

    private static string? NetnsProblem(string value) => value.StartsWith('/') ? null : $"'{Printable(value)}' is not an absolute path";

    /// <summary>Joins the problems of one input: the first few, and the number of the others.</summary>
    internal static string Listed(IReadOnlyList<string> problems) =>
        problems.Count <= Limits.Problems
            ? string.Join("; ", problems)
            : $"{string.Join("; ", problems.Take(Limits.Problems))}; and {problems.Count - Limits.Problems} more";

    /// <summary>Returns input for an error text: truncated, and without control characters.</summary>
    internal static string Printable(string text)
    {
        const int longest = 120;
        var shown = text.Length <= longest ? text : string.Concat(text.AsSpan(0, longest), "...");
        return string.Create(
            shown.Length,
            shown,
            static (span, source) =>
            {
                for (var i = 0; i < span.Length; i++)
                    span[i] =
                        char.IsControl(source[i])
                        || char.IsSurrogate(source[i])
                        || char.GetUnicodeCategory(source[i]) == UnicodeCategory.Format
                            ? '?'
                            : source[i];
            }
        );
    }
}
