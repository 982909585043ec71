// SPDX-License-Identifier: Apache-2.0

namespace VpcCni.Ipamd.Audit;

/// <summary>Severity of a finding.</summary>
internal enum Severity
{
    /// <summary>A pod has no network, the next pod would have none, or two pods could share an address.</summary>
    Critical,

    /// <summary>Something is left over or differs from its declaration, but no pod is affected.</summary>
    Warning,
}

/// <summary>A mismatch between two views.</summary>
/// <param name="Severity">Severity.</param>
/// <param name="Kind">Kind, for programs.</param>
/// <param name="Subject">
/// The address, pod, link or interface concerned; with <paramref name="Kind"/> it identifies the finding in both passes.
/// </param>
/// <param name="Detail">Description of the mismatch; one sentence.</param>
/// <param name="Advice">What to do.</param>
internal sealed record Finding(Severity Severity, string Kind, string Subject, string Detail, string Advice);

/// <summary>Result of an audit.</summary>
/// <param name="Findings">Findings, worst first.</param>
/// <param name="Compared">Compared items, with their number.</param>
/// <param name="NotCompared">Items that were not compared, and why.</param>
/// <param name="IsComplete">False if kernel or cloud did not answer, so that an empty list of findings proves little.</param>
/// <param name="Passes">Number of passes; one if the first found nothing.</param>
internal sealed record AuditResult(
    IReadOnlyList<Finding> Findings,
    IReadOnlyList<string> Compared,
    IReadOnlyList<string> NotCompared,
    bool IsComplete,
    int Passes
);
