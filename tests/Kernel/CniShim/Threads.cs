// SPDX-License-Identifier: Apache-2.0
using Xunit;

namespace VpcCni.Kernel.Tests.CniShim;

/// <summary>Threads of a test.</summary>
internal static class Threads
{
    /// <summary>Runs the body for 0 to count - 1, each on its own thread; asserts that none throws or takes more than a minute.</summary>
    public static void Run(int count, Action<int> body)
    {
        Exception? failure = null;
        var threads = Enumerable
            .Range(0, count)
            .Select(i => new Thread(() =>
            {
                try
                {
                    body(i);
                }
                catch (Exception exception)
                {
                    failure = exception;
                }
            }))
            .ToList();
        threads.ForEach(thread => thread.Start());
        threads.ForEach(thread => Assert.True(thread.Join(TimeSpan.FromSeconds(60))));
        Assert.Null(failure);
    }
}
