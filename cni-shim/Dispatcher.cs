// SPDX-License-Identifier: Apache-2.0
using VpcCni.Logging;
using VpcCni.Shim.Commands;

namespace VpcCni.Shim;

/// <summary>
/// One run of the plugin: environment, configuration, command, answer. The only place that turns exceptions into the error object on stdout
/// and an exit code.
/// </summary>
internal sealed class Dispatcher(PluginHost plugin)
{
    private CniVersion _version = CniVersion.Newest;

    /// <summary>Returns the exit code.</summary>
    public int Run()
    {
        using var log = new PluginLog(plugin.Stderr, plugin.Time);
        try
        {
            if (plugin.Arguments.Count > 0 || string.IsNullOrEmpty(plugin.Environment("CNI_COMMAND")))
                return Usage.Answer(plugin);
            if (Execute(log) is { } answer)
                plugin.Stdout.Write(answer);
            return 0;
        }
        catch (CniException exception)
        {
            return Fail(log, exception.Code, exception.Message, exception.Details, exception);
        }
        catch (Exception exception)
        {
            return Fail(
                log,
                CniErrorCode.Internal,
                $"the plugin failed unexpectedly ({exception.GetType().Name}: {exception.Message}); this is a defect, please report "
                    + "it with its log",
                "",
                exception
            );
        }
    }

    /// <summary>Returns the output; null for commands without one.</summary>
    private byte[]? Execute(PluginLog log)
    {
        var invocation = Invocation.Read(plugin.Environment);
        if (invocation.Command == CniCommand.Version)
            return CniOutput.Versions(AskedVersion());

        var config = ReadConfig(invocation);
        log.Configure(config);
        log.Describe(invocation);
        if (config.Warnings.Count > 0)
        {
            log.Warn(
                "the network configuration has oddities, which are tolerated",
                ("count", config.Warnings.Count),
                ("problems", Invocation.Listed(config.Warnings))
            );
        }

        switch (invocation.Command)
        {
            case CniCommand.Add:
                var result = new AddCommand(plugin, invocation, config, log).Run();
                return CniOutput.Result(_version, result);
            case CniCommand.Del:
                new DelCommand(plugin, invocation, config, log).Run();
                return null;
            case CniCommand.Check:
                new CheckCommand(plugin, invocation, config, log).Run();
                return null;
            case CniCommand.Gc:
                new GcCommand(plugin, config, log).Run();
                return null;
            case CniCommand.Status:
                new StatusCommand(plugin, config, log).Run();
                return null;
            default:
                throw new InvalidOperationException($"{invocation.Command} has no command");
        }
    }

    /// <summary>Answers VERSION in the version of the input, or in the newest if the input cannot be parsed.</summary>
    private NetworkConfig ReadConfig(Invocation invocation)
    {
        var root = NetworkConfigReader.Decode(ReadStdin());
        _version = NetworkConfigReader.Version(root);
        return NetworkConfigReader.Read(root, _version, invocation.Command);
    }

    private CniVersion AskedVersion()
    {
        try
        {
            return ReadStdin() is { IsEmpty: false } input
                ? NetworkConfigReader.Version(NetworkConfigReader.Decode(input))
                : CniVersion.Newest;
        }
        catch (CniException exception)
            when (exception.Code is CniErrorCode.Undecodable or CniErrorCode.IncompatibleVersion or CniErrorCode.InputOutput)
        {
            return CniVersion.Newest;
        }
    }

    private ReadOnlyMemory<byte> ReadStdin()
    {
        try
        {
            // One byte more than the limit tells a configuration of exactly that size from a larger one.
            const int most = Limits.ConfigurationBytes + 1;
            var buffer = new byte[8 * 1024];
            var length = 0;
            while (true)
            {
                var read = plugin.Stdin.Read(buffer, length, buffer.Length - length);
                if (read == 0)
                    return buffer.AsMemory(0, length);
                length += read;
                if (length >= most)
                    throw new CniException(
                        CniErrorCode.Undecodable,
                        $"the network configuration on stdin is larger than {Limits.ConfigurationBytes / 1024 / 1024} MiB, the most "
                            + "that is read"
                    );
                if (length == buffer.Length)
                    Array.Resize(ref buffer, Math.Min(buffer.Length * 4, most));
            }
        }
        catch (IOException exception)
        {
            throw new CniException(
                CniErrorCode.InputOutput,
                "the network configuration cannot be read from stdin: the runtime must write it and close its end",
                exception.Message,
                exception
            );
        }
    }

    private int Fail(PluginLog log, CniErrorCode code, string message, string details, Exception exception)
    {
        // An expected failure is logged without its stack: the message is complete.
        var number = (int)code;
        if (code == CniErrorCode.Internal)
            log.Error("the plugin failed unexpectedly; this is a defect, please report it", exception, (FieldNames.Code, number));
        else
            log.Error(message, (FieldNames.Code, number), ("details", details));
        try
        {
            plugin.Stdout.Write(CniOutput.Error(_version, code, message, details));
        }
        catch (IOException broken)
        {
            log.Error("the runtime closed stdout, the error could not be reported", broken);
        }
        return 1;
    }
}
