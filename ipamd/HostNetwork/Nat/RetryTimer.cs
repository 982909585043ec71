// SPDX-License-Identifier: Apache-2.0
using VpcCni.Ipamd.Timing;

namespace VpcCni.Ipamd.HostNetwork.Nat;

/// <summary>Schedules a recurring operation: at its interval after a success, with backoff up to a minute after failures.</summary>
internal sealed class RetryTimer
{
    private static readonly Backoff Pauses = new(TimeSpan.FromSeconds(5), TimeSpan.FromSeconds(60));

    private int _failures;
    private object? _subject;

    /// <summary>The last failure; null after a success, and before the first attempt.</summary>
    public HostNetworkException? Failure { get; private set; }

    /// <summary>Next retry after a failure.</summary>
    public DateTimeOffset RetryAt { get; private set; } = DateTimeOffset.MinValue;

    /// <summary>Next run after a success.</summary>
    public DateTimeOffset NextRun { get; set; } = DateTimeOffset.MinValue;

    public DateTimeOffset Next => Failure is null ? NextRun : RetryAt;

    /// <summary>Whether the last attempt had the same subject.</summary>
    public bool IsSameAsBefore(object subject) => subject.Equals(_subject);

    public void Begin(object subject) => _subject = subject;

    public void Succeeded(DateTimeOffset again) => (Failure, RetryAt, NextRun, _failures) = (null, DateTimeOffset.MinValue, again, 0);

    public void Failed(HostNetworkException exception, DateTimeOffset now) =>
        (Failure, RetryAt) = (exception, now + Pauses.Ceiling(++_failures));
}
