// SPDX-License-Identifier: Apache-2.0
using System.Threading.Channels;

namespace VpcCni.Ipamd.HostNetwork;

/// <summary>
/// Wakes one waiter. Raises before it wakes count as one. Waits on a channel, which continues in the waiter's synchronization
/// context, so that the simulation can run the waiter in virtual time. Thread-safe.
/// </summary>
internal sealed class SyncSignal
{
    private readonly Channel<bool> _raised = Channel.CreateBounded<bool>(
        new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite }
    );

    public void Raise() => _raised.Writer.TryWrite(true);

    /// <summary>Drops earlier raises. Call before reading the state that they announce.</summary>
    public void Reset()
    {
        while (_raised.Reader.TryRead(out _))
        {
            // One at most; a writer may raise again meanwhile.
        }
    }

    /// <summary>Returns when raised since the last <see cref="Reset"/>, or after <paramref name="limit"/>.</summary>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public async Task WaitAsync(TimeSpan limit, TimeProvider time, CancellationToken cancellationToken)
    {
        using var timer = new CancellationTokenSource(limit, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(timer.Token, cancellationToken);
        try
        {
            await _raised.Reader.WaitToReadAsync(either.Token);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            // The limit has passed.
        }
    }
}
