// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Ledger;

namespace VpcCni.Ipamd.Clouds;

/// <summary>
/// One attempt at a change, for the adapter that carries it out: what earlier attempts recorded, and how to record more before the next
/// call.
/// </summary>
/// <param name="intent">The intent at the start of the attempt.</param>
/// <param name="isRepeated">Whether an earlier attempt may have completed any of the stages.</param>
/// <param name="record">Makes a progressed intent durable.</param>
internal sealed class ChangeProgress(Intent intent, bool isRepeated, Func<Intent, CancellationToken, Task> record)
{
    /// <summary>The intent with everything recorded until now.</summary>
    public Intent Intent { get; private set; } = intent;

    public bool IsRepeated => isRepeated;

    /// <summary>Records a completed stage.</summary>
    public async Task RecordAsync(Intent progressed, CancellationToken cancellationToken)
    {
        Intent = progressed;
        await record(progressed, cancellationToken);
    }
}
