// SPDX-License-Identifier: Apache-2.0
using System.CommandLine;
using VpcCni.Lab.Cli.Demo;

namespace VpcCni.Lab.Cli;

/// <summary>The command line of <c>vpc-lab</c>.</summary>
internal static class LabCommands
{
    public static RootCommand Create(CliContext context) =>
        new("A VPC in a box: the API and metadata of a cloud, Kubernetes API and a real network of namespaces, on one machine.")
        {
            UpCommand.Create(context),
            PodCommands.CreateAdd(context),
            PodCommands.CreateDel(context),
            ExecCommand.Create(context),
            StatusCommand.Create(context),
            FaultCommand.Create(context),
            RestartCommand.Create(context),
            DownCommand.Create(context),
            DemoCommand.Create(context),
        };
}
