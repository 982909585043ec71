// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Ipamd.Audit;

/// <summary>How bad a mismatch is.</summary>
internal enum Severity
{
    /// <summary>A pod is, or the next one would be, without its network, or two could share an address.</summary>
    Critical,

    /// <summary>Something is left over or not as it was declared; no pod suffers from it now.</summary>
    Warning,
}

/// <summary>Something that two sources tell differently.</summary>
/// <param name="Severity">How bad.</param>
/// <param name="Kind">A word for programs.</param>
/// <param name="Subject">
/// The address, pod, link or interface that it is about; with <paramref name="Kind"/> it says whether two looks found the same.
/// </param>
/// <param name="Detail">What is told differently, a sentence.</param>
/// <param name="Advice">What to do.</param>
internal sealed record Finding(Severity Severity, string Kind, string Subject, string Detail, string Advice);

/// <summary>What an audit came to.</summary>
/// <param name="Findings">The worst first.</param>
/// <param name="Compared">What was, with its number.</param>
/// <param name="NotCompared">What was not, and why.</param>
/// <param name="IsComplete">False: kernel or cloud did not answer, so that no finding means little.</param>
/// <param name="Looks">One when the first found nothing.</param>
internal sealed record AuditResult(
    IReadOnlyList<Finding> Findings,
    IReadOnlyList<string> Compared,
    IReadOnlyList<string> NotCompared,
    bool IsComplete,
    int Looks
);
