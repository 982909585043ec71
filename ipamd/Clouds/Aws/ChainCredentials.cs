// SPDX-License-Identifier: Apache-2.0
using Amazon.Runtime;
using Amazon.Runtime.Credentials;

namespace VpcCni.Ipamd.Clouds.Aws;

/// <summary>
/// Resolves the SDK's chain of credentials (environment, web identity, profile, container, instance profile) in the call that needs them.
/// An EC2 client created without credentials would resolve them in its constructor: synchronously, outside any call's deadline, and with an
/// exception that is not a call's failure. Every failure of a source becomes an <see cref="AmazonClientException"/> with the cause.
/// </summary>
internal sealed class ChainCredentials : AWSCredentials
{
    private const string Sources = "access key, web identity, profile, container, instance profile";

    public override ImmutableCredentials GetCredentials()
    {
        try
        {
            return DefaultAWSCredentialsIdentityResolver.GetCredentials().GetCredentials();
        }
        catch (Exception exception) when (exception is not OperationCanceledException)
        {
            throw Failure(exception);
        }
    }

    public override async Task<ImmutableCredentials> GetCredentialsAsync()
    {
        try
        {
            var credentials = await DefaultAWSCredentialsIdentityResolver.GetCredentialsAsync();
            return await credentials.GetCredentialsAsync();
        }
        catch (Exception exception) when (exception is not OperationCanceledException)
        {
            throw Failure(exception);
        }
    }

    /// <summary>
    /// Adds the cause to the message: the outer message often names only the attempt, and the innermost exception may be of the SDK's
    /// transport. When no source has credentials, the SDK's text has a paragraph per source; the last one is about the source that a node
    /// usually has.
    /// </summary>
    private static AmazonClientException Failure(Exception exception)
    {
        var lines = exception.Message.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        if (lines.Length > 1)
            return new AmazonClientException($"no source has AWS credentials ({Sources}); the last one reports: {lines[^1]}", exception);
        var (cause, innermost) = (exception, exception);
        while (innermost.InnerException is { } inner)
        {
            innermost = inner;
            if (inner is AmazonServiceException or IOException or HttpRequestException)
                cause = inner;
        }

        return new AmazonClientException(
            cause == exception ? exception.Message : $"{exception.Message.TrimEnd('.')}: {cause.Message}",
            exception
        );
    }
}
