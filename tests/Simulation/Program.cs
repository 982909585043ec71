// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Simulation.Tests;

/// <summary>Runs the tests, or with <c>simulate</c> as the first argument the simulation over fresh seeds.</summary>
internal static class Program
{
    private static int Main(string[] args) =>
        args switch
        {
            ["simulate", .. var rest] => SimulateCommand.Run(rest, Console.Out, Console.Error),
            _ when args.Any(arg => arg is "-automated" or "@@") => Xunit
                .Runner.InProc.SystemConsole.ConsoleRunner.Run(args)
                .GetAwaiter()
                .GetResult(),
            _ => Xunit
                .MicrosoftTestingPlatform.TestPlatformTestFramework.RunAsync(args, SelfRegisteredExtensions.AddSelfRegisteredExtensions)
                .GetAwaiter()
                .GetResult(),
        };
}
