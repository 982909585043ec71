// SPDX-License-Identifier: Apache-2.0
using VpcCni.Shim.Commands;

namespace VpcCni.Shim;

/// <summary>
/// One run of the plugin: environment, configuration, command, answer. The only place that turns exceptions into the error object on stdout and an exit code.
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
            if (plugin.Arguments.Count > 0 || string.IsNullOrEmpty(plugin.Environment("CNI_COMMAND"))) return ByHand.Answer(plugin);
            if (Execute(log) is { } answer) plugin.Stdout.Write(answer);
            return 0;
        }
        catch (CniException exception)
        {
            return Fail(log, exception.Code, exception.Message, exception.Details, exception);
        }
        catch (Exception exception)
        {
            return Fail(log, CniErrorCode.Internal, $"the plugin failed: {exception.Message}", exception.ToString(), exception);
        }
    }

    /// <summary>Returns what goes to stdout; null for the commands whose success says nothing.</summary>
    private byte[]? Execute(PluginLog log)
    {
        var invocation = Invocation.Read(plugin.Environment);
        if (invocation.Command == CniCommand.Version) return CniOutput.Versions(AskedVersion());

        var config = ReadConfig(invocation);
        log.Configure(config);
        log.Describe(invocation);
        foreach (var warning in config.Warnings) log.Warn(warning);

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

    /// <summary>VERSION answers in the version that it is asked in, and must work with an input that nothing can be made of.</summary>
    private NetworkConfig ReadConfig(Invocation invocation)
    {
        try
        {
            var root = NetworkConfigReader.Decode(ReadStdin());
            _version = NetworkConfigReader.Version(root);
            return NetworkConfigReader.Read(root, _version, invocation.Command);
        }
        catch (InvalidOperationException exception)
        {
            // The one thing that a decoded document refuses late: a string with half of a surrogate pair.
            throw new CniException(CniErrorCode.Undecodable, $"the network configuration has a string that is no valid Unicode: {exception.Message}", "", exception);
        }
    }

    private CniVersion AskedVersion()
    {
        try
        {
            return ReadStdin() is { IsEmpty: false } input ? NetworkConfigReader.Version(NetworkConfigReader.Decode(input)) : CniVersion.Newest;
        }
        catch (CniException exception) when (exception.Code is CniErrorCode.Undecodable or CniErrorCode.IncompatibleVersion or CniErrorCode.InputOutput)
        {
            return CniVersion.Newest;
        }
    }

    private ReadOnlyMemory<byte> ReadStdin()
    {
        try
        {
            var buffer = new byte[8 * 1024];
            var length = 0;
            while (true)
            {
                var read = plugin.Stdin.Read(buffer, length, buffer.Length - length);
                if (read == 0) return buffer.AsMemory(0, length);
                length += read;
                if (length < buffer.Length) continue;
                if (length >= Limits.ConfigurationBytes)
                    throw new CniException(CniErrorCode.Undecodable, $"the network configuration on stdin is larger than {Limits.ConfigurationBytes / 1024 / 1024} MiB");
                Array.Resize(ref buffer, buffer.Length * 4);
            }
        }
        catch (IOException exception)
        {
            throw new CniException(CniErrorCode.InputOutput, "cannot read the network configuration from stdin", exception.Message, exception);
        }
    }

    private int Fail(PluginLog log, CniErrorCode code, string message, string details, Exception exception)
    {
        // The stack is for the log of a defect; the message of an expected failure says it all.
        log.Error($"code {(int)code}: {message}{(details.Length > 0 && code != CniErrorCode.Internal ? $" [{details}]" : "")}", code == CniErrorCode.Internal ? exception : null);
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
