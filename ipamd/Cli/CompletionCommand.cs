// SPDX-License-Identifier: Apache-2.0
using System.CommandLine;

namespace VpcCni.Ipamd.Cli;

/// <summary>
/// Implements <c>ipamd completion</c>: prints a script with which a shell gets completions from this program, by the directive
/// <c>[suggest:POSITION]</c> of System.CommandLine. The package leaves this to dotnet-suggest, an SDK tool that nodes do not have.
/// </summary>
internal static class CompletionCommand
{
    private const string Bash = """
        # Completion of ipamd for bash: source <(ipamd completion bash)
        _ipamd() {
            local IFS=$'\n'
            COMPREPLY=($(compgen -W "$("$1" "[suggest:$COMP_POINT]" "$COMP_LINE" 2>/dev/null)" -- "$2"))
        }
        complete -o default -F _ipamd ipamd
        """;

    private const string Zsh = """
        #compdef ipamd
        # Completion of ipamd for zsh: source <(ipamd completion zsh), or as _ipamd in a folder of $fpath
        _ipamd() {
            local line="ipamd ${(j: :)words[2,CURRENT-1]} $PREFIX"
            compadd -- ${(f)"$($words[1] "[suggest:${#line}]" "$line" 2>/dev/null)"}
        }
        if [ "$funcstack[1]" = "_ipamd" ]; then _ipamd; else compdef _ipamd ipamd; fi
        """;

    private const string Fish = """
        # Completion of ipamd for fish: ipamd completion fish | source
        function __ipamd
            set --local line (commandline --current-process --cut-at-cursor)
            ipamd "[suggest:"(string length -- "$line")"]" "$line" 2>/dev/null
        end
        complete --command ipamd --no-files --arguments '(__ipamd)'
        """;

    public static Command Create(CommandConsole console)
    {
        var shell = new Argument<string>("shell") { Description = "bash, zsh or fish" }.AcceptOnlyFromAmong("bash", "zsh", "fish");
        var command = new DocumentedCommand(
            "completion",
            "print a script that completes command lines: source <(ipamd completion bash)",
            (ExitCodes.Done, "done")
        )
        {
            shell,
        };
        command.SetAction(result =>
            console.Output.WriteLine(
                result.GetValue(shell) switch
                {
                    "bash" => Bash,
                    "zsh" => Zsh,
                    _ => Fish,
                }
            )
        );
        return command;
    }
}
