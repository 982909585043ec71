// SPDX-License-Identifier: Apache-2.0
using System.Net;
using System.Security.Cryptography;
using System.Text;
using VpcCni.Lab.VpcModel;

namespace VpcCni.Lab.Ec2Api;

/// <summary>
/// Verifies the signature of a request, in the header or in the query string (presigned): its key, its scope (service and region) and its
/// time.
/// </summary>
internal sealed class SignatureVerifier(CredentialStore credentials, TimeProvider time, string region, string service = "ec2")
{
    /// <summary>Maximum difference between a signature's time and the lab's: five minutes, as on EC2.</summary>
    public static readonly TimeSpan MaxSkew = TimeSpan.FromMinutes(5);

    private static readonly TimeSpan MaxPresignedLifetime = TimeSpan.FromDays(7);

    /// <summary>Verifies a request and returns the key pair that signed it.</summary>
    /// <exception cref="Ec2FaultException">The error that EC2 returns for the request.</exception>
    public LabCredentials Verify(SignedRequest request)
    {
        var claim = request.Header("authorization") is { } authorization ? FromHeader(request, authorization) : FromQuery(request);
        if (claim is null)
            throw new Ec2FaultException(
                "MissingAuthenticationToken",
                "Request is missing Authentication Token: sign it with Signature Version 4",
                HttpStatusCode.Forbidden
            );
        CheckScope(claim);
        CheckFreshness(claim);
        if (credentials.Find(claim.AccessKeyId) is not { } key)
        {
            throw new Ec2FaultException(
                "AuthFailure",
                "AWS was not able to validate the provided access credentials: the lab has no access key "
                    + $"'{claim.AccessKeyId}'. Use those of the instance's metadata, or {CredentialStore.LongLived.AccessKeyId}",
                HttpStatusCode.Unauthorized
            );
        }

        if (!string.Equals(key.SessionToken, claim.SessionToken, StringComparison.Ordinal))
        {
            throw new Ec2FaultException(
                "AuthFailure",
                "AWS was not able to validate the provided access credentials: the session token "
                    + (claim.SessionToken is null ? "is missing" : "does not belong to the access key"),
                HttpStatusCode.Unauthorized
            );
        }

        CheckSignature(request, claim, key);
        if (key.Expiration <= time.GetUtcNow())
            throw new Ec2FaultException("RequestExpired", $"Request has expired: its credentials expired at {key.Expiration:O}");
        return key;
    }

    private void CheckScope(Claim claim)
    {
        if (claim.Scope.Service != service || claim.Scope.Region != region)
        {
            throw new Ec2FaultException(
                "SignatureDoesNotMatch",
                $"Credential should be scoped to region '{region}' and service '{service}', not '{claim.Scope.Region}' and "
                    + $"'{claim.Scope.Service}'",
                HttpStatusCode.Forbidden
            );
        }

        if (!claim.AmzDate.StartsWith(claim.Scope.Date, StringComparison.Ordinal))
            throw new Ec2FaultException(
                "SignatureDoesNotMatch",
                $"Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date: '{claim.Scope.Date}' != "
                    + $"'{claim.AmzDate}'",
                HttpStatusCode.Forbidden
            );
        if (!claim.SignedHeaders.Contains("host"))
            throw new Ec2FaultException(
                "SignatureDoesNotMatch",
                "'Host' must be a 'SignedHeader' in the AWS Authorization",
                HttpStatusCode.Forbidden
            );
    }

    private void CheckFreshness(Claim claim)
    {
        if (!SigV4.TryParseTime(claim.AmzDate, out var signed))
            throw Incomplete($"Date must be in ISO-8601 'basic format'. Got '{claim.AmzDate}'");
        var now = time.GetUtcNow();
        if (signed - MaxSkew > now || signed + claim.Lifetime < now)
            throw new Ec2FaultException(
                "RequestExpired",
                $"Request has expired: it was signed at {signed:O} for {claim.Lifetime}, and the server's time is {now:O}"
            );
    }

    private static void CheckSignature(SignedRequest request, Claim claim, LabCredentials key)
    {
        var unsigned = request.Headers.Keys.FirstOrDefault(name =>
            name.StartsWith("x-amz-", StringComparison.Ordinal) && !claim.SignedHeaders.Contains(name)
        );
        if (unsigned is not null)
            throw new Ec2FaultException("SignatureDoesNotMatch", $"The header '{unsigned}' must be signed", HttpStatusCode.Forbidden);
        var bodyHash = SigV4.Hash(request.Body.Span);
        if (request.Header("x-amz-content-sha256") is { } claimed && claimed != "UNSIGNED-PAYLOAD" && claimed != bodyHash)
            throw new Ec2FaultException(
                "SignatureDoesNotMatch",
                "The provided 'x-amz-content-sha256' header does not match what was computed",
                HttpStatusCode.Forbidden
            );

        var canonical = SigV4.CanonicalRequest(request, claim.SignedHeaders, request.Header("x-amz-content-sha256") ?? bodyHash);
        var toSign = SigV4.StringToSign(claim.AmzDate, claim.Scope, canonical);
        var expected = SigV4.Sign(SigV4.SigningKey(key.SecretAccessKey, claim.Scope), toSign);
        if (CryptographicOperations.FixedTimeEquals(Encoding.ASCII.GetBytes(expected), Encoding.ASCII.GetBytes(claim.Signature)))
            return;
        throw new Ec2FaultException(
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and "
                + "signing method. "
                + $"The canonical string for this request should have been '{canonical}'. The string-to-sign should have been '{toSign}'",
            HttpStatusCode.Forbidden
        );
    }

    private static Claim FromHeader(SignedRequest request, string authorization)
    {
        var space = authorization.IndexOf(' ', StringComparison.Ordinal);
        if (space < 0 || authorization[..space] != SigV4.Algorithm)
            throw Incomplete($"Authorization header requires the algorithm '{SigV4.Algorithm}'");
        var parts = authorization[(space + 1)..]
            .Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)
            .Select(part => part.Split('=', 2))
            .Where(pair => pair.Length == 2)
            .GroupBy(pair => pair[0], StringComparer.Ordinal)
            .ToDictionary(group => group.Key, group => group.First()[1], StringComparer.Ordinal);
        string Part(string name) =>
            parts.TryGetValue(name, out var value) ? value : throw Incomplete($"Authorization header requires '{name}' parameter");
        var date = request.Header("x-amz-date") ?? throw Incomplete("Authorization header requires existence of an 'X-Amz-Date' header");
        return CreateClaim(
            Part("Credential"),
            Part("SignedHeaders"),
            Part("Signature"),
            date,
            request.Header("x-amz-security-token"),
            MaxSkew
        );
    }

    private static Claim? FromQuery(SignedRequest request)
    {
        var parameters = SigV4
            .Pairs(request.RawQuery)
            .GroupBy(pair => pair.Name, StringComparer.Ordinal)
            .ToDictionary(group => group.Key, group => group.First().Value, StringComparer.Ordinal);
        if (!parameters.TryGetValue("X-Amz-Algorithm", out var algorithm))
            return null;
        if (algorithm != SigV4.Algorithm)
            throw Incomplete($"X-Amz-Algorithm must be '{SigV4.Algorithm}'");
        string Part(string name) =>
            parameters.TryGetValue(name, out var value) ? value : throw Incomplete($"A presigned request requires the parameter '{name}'");
        var lifetime = int.TryParse(parameters.GetValueOrDefault("X-Amz-Expires", "300"), out var seconds)
            ? TimeSpan.FromSeconds(seconds)
            : TimeSpan.Zero;
        if (lifetime <= TimeSpan.Zero || lifetime > MaxPresignedLifetime)
            throw Incomplete($"X-Amz-Expires must be between 1 and {MaxPresignedLifetime.TotalSeconds} seconds");
        return CreateClaim(
            Part("X-Amz-Credential"),
            Part("X-Amz-SignedHeaders"),
            Part(SigV4.SignatureParameter),
            Part("X-Amz-Date"),
            parameters.GetValueOrDefault("X-Amz-Security-Token"),
            lifetime
        );
    }

    private static Claim CreateClaim(
        string credential,
        string signedHeaders,
        string signature,
        string amzDate,
        string? token,
        TimeSpan lifetime
    )
    {
        if (credential.Split('/') is not [var key, var date, var region, var service, SignatureScope.Terminator])
            throw Incomplete(
                $"Credential must have the form <key>/YYYYMMDD/<region>/<service>/{SignatureScope.Terminator}, got '{credential}'"
            );
        return new Claim(key, new SignatureScope(date, region, service), signedHeaders.Split(';'), signature, amzDate, token, lifetime);
    }

    private static Ec2FaultException Incomplete(string message) => new("IncompleteSignature", message);

    private sealed record Claim(
        string AccessKeyId,
        SignatureScope Scope,
        IReadOnlyList<string> SignedHeaders,
        string Signature,
        string AmzDate,
        string? SessionToken,
        TimeSpan Lifetime
    );
}
