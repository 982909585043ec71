// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Shim;

/// <summary>
/// The undos of a command's steps, for the case that a later step fails. Every step pushes its undo before it does the work, so an undo
/// succeeds if there is nothing to undo. The command's catch block runs them, newest first. An undo that fails is logged and the others
/// still run; the runtime gets the original error.
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
