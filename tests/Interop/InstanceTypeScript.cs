// SPDX-License-Identifier: Apache-2.0
using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Text;
using VpcCni.Ipamd.Clouds.Aws.InstanceTypes;

namespace VpcCni.Interop.Tests;

/// <summary>Runs <c>scripts/update-instance-types</c> against an endpoint, into a file of its own.</summary>
internal static class InstanceTypeScript
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(120);

    public static Task<(int ExitCode, string Error, string Text)> RunAsync(
        Uri endpoint,
        string accessKey,
        string secretKey,
        params string[] regions
    ) => RunOverAsync(previous: null, endpoint, accessKey, secretKey, regions);

    /// <summary>Over a table that is there already.</summary>
    public static async Task<(int ExitCode, string Error, string Text)> RunOverAsync(
        string? previous,
        Uri endpoint,
        string accessKey,
        string secretKey,
        params string[] arguments
    )
    {
        var folder = Directory.CreateTempSubdirectory("instance-types-");
        try
        {
            var table = Path.Combine(folder.FullName, "table.txt");
            var start = new ProcessStartInfo(Script(), ["--output", table, "--source", "a test", .. arguments])
            {
                UseShellExecute = false,
                RedirectStandardError = true,
            };
            foreach (var name in start.Environment.Keys.Where(name => name.StartsWith("AWS_", StringComparison.Ordinal)).ToArray())
                start.Environment.Remove(name);
            start.Environment["AWS_ENDPOINT_URL_EC2"] = endpoint.ToString().TrimEnd('/');
            start.Environment["AWS_ACCESS_KEY_ID"] = accessKey;
            start.Environment["AWS_SECRET_ACCESS_KEY"] = secretKey;
            start.Environment["AWS_CONFIG_FILE"] = "/dev/null";
            start.Environment["AWS_SHARED_CREDENTIALS_FILE"] = "/dev/null";
            start.Environment["AWS_MAX_ATTEMPTS"] = "1";
            if (previous is not null)
                await File.WriteAllTextAsync(table, previous);
            using var process = Process.Start(start) ?? throw new InvalidOperationException("the script did not start");
            using var deadline = new CancellationTokenSource(Deadline);
            try
            {
                var error = await process.StandardError.ReadToEndAsync(deadline.Token);
                await process.WaitForExitAsync(deadline.Token);
                return (process.ExitCode, error, File.Exists(table) ? await File.ReadAllTextAsync(table, deadline.Token) : "");
            }
            catch (OperationCanceledException canceled)
            {
                process.Kill(entireProcessTree: true);
                throw new TimeoutException($"the script did not end within {Deadline}", canceled);
            }
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    public static List<InstanceTypeRow> Rows(string text) =>
        [
            .. text.Split('\n', StringSplitOptions.RemoveEmptyEntries)
                .Where(line => line[0] != '#')
                .Select(line => InstanceTypeTable.Parse(Encoding.UTF8.GetBytes(line))),
        ];

    private static string Script([CallerFilePath] string here = "") =>
        Path.GetFullPath(Path.Combine(Path.GetDirectoryName(here)!, "..", "..", "scripts", "update-instance-types"));
}
