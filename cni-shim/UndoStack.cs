// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Shim;

/// <summary>
/// What has to be undone if a later step fails. Every step pushes its undo before it does the work (an undo tolerates that there is nothing
/// to undo), and the catch of the command runs them, newest first. A failing undo is logged and the others still run: the error that is
/// reported is the one that started it.
/// </summary>
internal sealed class UndoStack(PluginLog log)
{
    private readonly Stack<(string What, Action Undo)> _steps = new();

    public void Push(string what, Action undo) => _steps.Push((what, undo));

    public void Unwind()
    {
        while (_steps.TryPop(out var step))
        {
            try
            {
                step.Undo();
            }
            catch (Exception exception)
            {
                log.Error("a step of the failed ADD could not be undone; the daemon finds what is left", exception, ("step", step.What));
            }
        }
    }
}
