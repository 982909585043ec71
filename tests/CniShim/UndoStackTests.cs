// SPDX-License-Identifier: Apache-2.0
using System.Text;
using Xunit;

namespace VpcCni.Shim.Tests;

public sealed class UndoStackTests
{
    [Fact]
    public void Unwind_runs_newest_first_and_logs_failures()
    {
        using var stderr = new MemoryStream();
        using var log = new PluginLog(stderr, TimeProvider.System);
        var undo = new UndoStack(log);
        var order = new List<string>();
        undo.Push("first", () => order.Add("first"));
        undo.Push("remove the second thing", () => throw new IOException("failed"));
        undo.Push("third", () => order.Add("third"));

        undo.Unwind();
        undo.Unwind(); // runs no step twice

        Assert.Equal(["third", "first"], order);
        var text = Encoding.UTF8.GetString(stderr.ToArray());
        Assert.Contains("remove the second thing", text, StringComparison.Ordinal);
        Assert.Contains("failed", text, StringComparison.Ordinal);
    }
}
