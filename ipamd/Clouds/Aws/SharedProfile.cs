// SPDX-License-Identifier: Apache-2.0
using Amazon.Runtime;
using Amazon.Runtime.CredentialManagement;

namespace VpcCni.Ipamd.Clouds.Aws;

/// <summary>
/// A profile's settings in the shared files (AWS_CONFIG_FILE, AWS_SHARED_CREDENTIALS_FILE), apart from its credentials, which the SDK reads
/// itself.
/// </summary>
/// <param name="Region">The region; null for none.</param>
/// <param name="RoleSource">Credentials that assume the profile's role; null when it has no role, or one with a web identity.</param>
internal sealed record SharedProfile(string? Region, AWSCredentials? RoleSource)
{
    private const string Operation = "AWS_PROFILE";

    /// <summary>Reads a profile; null when it does not exist.</summary>
    /// <exception cref="CloudException">The files cannot be read, or the profile uses an unsupported feature.</exception>
    public static SharedProfile? Read(string name)
    {
        var files = new CredentialProfileStoreChain();
        try
        {
            return files.TryGetProfile(name, out var profile)
                ? new SharedProfile(profile.Region?.SystemName, FindRoleSource(files, profile))
                : null;
        }
        catch (Exception exception)
            when (exception
                    is AmazonClientException
                        or AmazonServiceException
                        or IOException
                        or InvalidDataException
                        or UnauthorizedAccessException
                        or ArgumentException
                        or FormatException
            )
        {
            throw Failure(name, exception.Message, exception);
        }
    }

    private static AWSCredentials? FindRoleSource(CredentialProfileStoreChain files, CredentialProfile profile)
    {
        var options = profile.Options;
        if (string.IsNullOrEmpty(options.RoleArn))
            return null;
        if (!string.IsNullOrEmpty(options.SourceProfile))
        {
            if (!files.TryGetProfile(options.SourceProfile, out var source))
                throw Failure(profile.Name, $"its source_profile {options.SourceProfile} is not in the files", null);
            if (!string.IsNullOrEmpty(source.Options.RoleArn) && source.Name != profile.Name)
                throw Failure(
                    profile.Name,
                    $"its source_profile {options.SourceProfile} has a role itself; expected one with an access key",
                    null
                );
            return source.Options is { AccessKey: { Length: > 0 } key, SecretKey: { Length: > 0 } secret } keys
                ? string.IsNullOrEmpty(keys.Token)
                    ? new BasicAWSCredentials(key, secret)
                    : new SessionAWSCredentials(key, secret, keys.Token)
                : throw Failure(profile.Name, $"its source_profile {options.SourceProfile} has no access key", null);
        }

        return options.CredentialSource switch
        {
            null or "" => null,
            "Environment" => new EnvironmentVariablesAWSCredentials(),
            "Ec2InstanceMetadata" => new InstanceProfileAWSCredentials(),
            "EcsContainer" => new GenericContainerCredentials(),
            var other => throw Failure(
                profile.Name,
                $"its credential_source is {other}, expected Environment, Ec2InstanceMetadata or EcsContainer",
                null
            ),
        };
    }

    private static CloudException Failure(string name, string why, Exception? inner) =>
        new(
            CloudErrorKind.NotPermitted,
            Operation,
            Ec2ErrorCodes.CredentialsUnavailable,
            $"the profile {name} cannot be used: {why.ReplaceLineEndings(" ").TrimEnd('.')}",
            innerException: inner
        );
}
