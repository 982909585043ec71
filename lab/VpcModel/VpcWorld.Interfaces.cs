// SPDX-License-Identifier: Apache-2.0
using System.Collections.Immutable;
using System.Globalization;
using System.Net;

namespace VpcCni.Lab.VpcModel;

/// <summary>Operations that create, change and delete network interfaces.</summary>
public sealed partial class VpcWorld
{
    /// <summary>
    /// Slots of an unattached interface, which no instance type limits: the maximum of the common types.
    /// </summary>
    public const int UnattachedSlotLimit = 50;

    private const int MaxTokenLength = 64;
    private const int MaxDescriptionLength = 255;
    private const int MaxGroupsPerInterface = 16;

    /// <summary>Maximum number of client tokens. Adding more removes the oldest.</summary>
    private const int MaxTokens = 100_000;

    private static readonly TimeSpan TokenLifetime = TimeSpan.FromHours(24);
    private static readonly string[] InterfaceTypes = ["interface", "efa", "efa-only", "trunk", "branch"];

    private readonly Dictionary<string, TokenUse> _tokens = new(StringComparer.Ordinal);
    private readonly Queue<(string Token, DateTimeOffset ExpiresAt)> _tokenExpiries = new();

    public NetworkInterface CreateNetworkInterface(CreateInterfaceRequest request) =>
        Call(
            "CreateNetworkInterface",
            CallKind.Mutating,
            () =>
            {
                if (request.ClientToken is not { } token)
                    return NewInterface(request);
                if (token.Length > MaxTokenLength || !System.Text.Ascii.IsValid(token))
                    throw Ec2Faults.BadValue($"Invalid client token: at most {MaxTokenLength} ASCII characters are allowed");
                RemoveExpiredTokens();
                var fingerprint = Fingerprint(request);
                if (_tokens.TryGetValue(token, out var use))
                {
                    if (!string.Equals(use.Fingerprint, fingerprint, StringComparison.Ordinal))
                        throw Ec2Faults.TokenReused();
                    return FindInterface(use.Created.Id) ?? use.Created;
                }

                var eni = NewInterface(request);
                _tokens.Add(token, new TokenUse(fingerprint, eni));
                _tokenExpiries.Enqueue((token, Now + TokenLifetime));
                return eni;
            }
        );

    public NetworkInterface ModifyNetworkInterfaceAttribute(ModifyInterfaceRequest request) =>
        Call(
            "ModifyNetworkInterfaceAttribute",
            CallKind.Mutating,
            () =>
            {
                var eni = Get(request.Interface);
                var attributes =
                    (request.Description is null ? 0 : 1)
                    + (request.Groups is null ? 0 : 1)
                    + (request.SourceDestCheck is null ? 0 : 1)
                    + (request.EnablePrimaryIpv6 is null ? 0 : 1)
                    + (request.ConnectionTracking is null ? 0 : 1)
                    + (request.DeleteOnTermination is null ? 0 : 1);
                if (attributes == 0)
                    throw Ec2Faults.Missing("attribute");
                if (attributes > 1)
                    throw Ec2Faults.BadCombination("Fields for multiple attribute types specified: modify one attribute with each call");
                if (request.Description is { } description)
                    eni = eni with { Description = CheckedDescription(description) };
                if (request.Groups is { } groups)
                    eni = eni with { Groups = CheckedGroups(groups, eni.Vpc) };
                if (request.SourceDestCheck is { } check)
                    eni = eni with { SourceDestCheck = check };
                if (request.EnablePrimaryIpv6 is { } enable)
                    eni = WithPrimaryIpv6(eni, enable);
                if (request.ConnectionTracking is { } tracking)
                    eni = eni with { ConnectionTracking = Checked(tracking) };
                if (request.DeleteOnTermination is var (id, delete))
                {
                    if (eni.Attachment is not { } attachment || attachment.Id != id)
                        throw Ec2Faults.NoSuchAttachment(id.Value);
                    eni = eni with { Attachment = attachment with { DeleteOnTermination = delete } };
                }

                Put(eni);
                if (request.SourceDestCheck is { } now)
                    Raise(new VpcEvent.SourceDestCheckChanged(eni.Id, now));
                return eni;
            }
        );

    public void DeleteNetworkInterface(EniId id) =>
        Call(
            "DeleteNetworkInterface",
            CallKind.Mutating,
            () =>
            {
                var eni = Get(id);
                if (eni.Attachment is not null)
                    throw Ec2Faults.DeleteInUse(id);
                Remove(eni);
                return true;
            }
        );

    private NetworkInterface NewInterface(CreateInterfaceRequest request)
    {
        var (subnet, pool, pool6) = GetSubnet(request.Subnet);
        if (Array.IndexOf(InterfaceTypes, request.InterfaceType) < 0)
            throw Ec2Faults.BadValue(
                $"Value ({request.InterfaceType}) for parameter InterfaceType is invalid; expected one of: "
                    + string.Join(", ", InterfaceTypes)
            );
        CheckRequest(request.Ipv4, "private IPv4");
        var requested6 = request.Ipv6 ?? (subnet.AssignIpv6AddressOnCreation ? AddressRequest.Any(1) : AddressRequest.None);
        CheckRequest(requested6, "IPv6");
        if (1 + request.Ipv4.Slots > UnattachedSlotLimit)
            throw Ec2Faults.AddressLimit();
        if (requested6.Slots > UnattachedSlotLimit)
            throw Ec2Faults.Ipv6AddressLimit();
        var description = CheckedDescription(request.Description);
        var groups = CheckedGroups(request.Groups, subnet.Vpc);
        var tags = CheckedTags(NoTags.Value, request.Tags);
        var tracking = request.ConnectionTracking is { } wanted ? Checked(wanted) : null;
        if (requested6.Slots != 0 && pool6 is null)
            throw Ec2Faults.NoIpv6Range(subnet.Id);
        if (request.EnablePrimaryIpv6 && requested6.AddressCount + requested6.Addresses.Count == 0)
            throw Ec2Faults.BadCombination("A primary IPv6 address requires an IPv6 address");

        var primary = TakePrimary(pool, request.PrimaryAddress, subnet);
        Taken? ipv4 = null;
        Taken ipv6;
        try
        {
            ipv4 = TakeIpv4(pool, request.Ipv4);
            ipv6 = TakeIpv6(pool6, requested6);
        }
        catch (Ec2FaultException)
        {
            pool.Release(primary);
            if (ipv4 is not null)
                Release(pool, ipv4);
            throw;
        }

        var eni = new NetworkInterface
        {
            Id = new EniId(_ids.Next("eni")),
            Subnet = subnet.Id,
            Vpc = subnet.Vpc,
            Zone = subnet.Zone,
            Mac = _ids.NextMac(),
            PrimaryAddress = primary,
            CreatedAt = Now,
            SecondaryAddresses = [.. ipv4.Addresses],
            Ipv4Prefixes = [.. ipv4.Prefixes],
            Ipv6Addresses = [.. ipv6.Addresses],
            PrimaryIpv6Address = request.EnablePrimaryIpv6 ? ipv6.Addresses[0] : null,
            Ipv6Prefixes = [.. ipv6.Prefixes],
            Groups = groups,
            Tags = tags,
            Description = description,
            InterfaceType = request.InterfaceType,
            ConnectionTracking = tracking,
        };
        Put(eni);
        Raise(new VpcEvent.AddressesChanged(eni.Id, eni.AllRanges));
        return eni;
    }

    private void Remove(NetworkInterface eni)
    {
        var (_, pool, pool6) = GetSubnet(eni.Subnet);
        pool.Release(eni.PrimaryAddress);
        Release(pool, new Taken(eni.SecondaryAddresses, eni.Ipv4Prefixes));
        if (pool6 is not null)
            Release(pool6, new Taken(eni.Ipv6Addresses, eni.Ipv6Prefixes));
        _interfaces[eni.Id].Versions.Set(Now, null);
        _deleted.Enqueue(eni.Id);
        Raise(new VpcEvent.AddressesChanged(eni.Id, []));
    }

    private static NetworkInterface WithPrimaryIpv6(NetworkInterface eni, bool enable)
    {
        if (!enable && eni.PrimaryIpv6Address is not null)
            throw Ec2Faults.NotPermitted($"The primary IPv6 address of {eni.Id} cannot be disabled");
        if (!enable)
            return eni;
        if (eni.Ipv6Addresses.IsEmpty)
            throw Ec2Faults.BadValue($"{eni.Id} has no IPv6 address that could be the primary one");
        return eni with { PrimaryIpv6Address = eni.PrimaryIpv6Address ?? eni.Ipv6Addresses[0] };
    }

    private static ConnectionTracking Checked(ConnectionTracking tracking)
    {
        Check(tracking.TcpEstablished, "TcpEstablishedTimeout", 60, 432_000);
        Check(tracking.UdpStream, "UdpStreamTimeout", 60, 180);
        Check(tracking.Udp, "UdpTimeout", 30, 60);
        return tracking;

        static void Check(int? seconds, string parameter, int least, int most)
        {
            if (seconds is { } value && (value < least || value > most))
                throw Ec2Faults.BadValue($"Value ({value}) for parameter {parameter} is invalid: expected {least} to {most}");
        }
    }

    private static IPAddress TakePrimary(Ipv4Pool pool, IPAddress? requested, Subnet subnet)
    {
        if (requested is null)
            return pool.TakeAny() ?? throw Ec2Faults.SubnetFull();
        if (!pool.Contains(requested))
            throw Ec2Faults.BadValue($"Address {requested} does not fall within the subnet's address range {subnet.Ipv4Range}");
        return pool.TryTake(requested) ? requested : throw Ec2Faults.AddressInUse();
    }

    private ImmutableArray<SecurityGroupId> CheckedGroups(IReadOnlyList<SecurityGroupId> groups, VpcId vpc)
    {
        if (groups.Count > MaxGroupsPerInterface)
            throw new Ec2FaultException(
                "SecurityGroupsPerInterfaceLimitExceeded",
                $"The maximum number of security groups per interface is {MaxGroupsPerInterface}"
            );
        foreach (var id in groups)
        {
            if (!_groups.TryGetValue(id, out var group))
                throw Ec2Faults.NoSuchGroup(id.Value);
            if (group.Vpc != vpc)
                throw Ec2Faults.BadValue($"The security group '{id}' does not belong to the VPC '{vpc}'");
        }

        return [.. groups.Distinct()];
    }

    private static string CheckedDescription(string description) =>
        description.Length <= MaxDescriptionLength
            ? description
            : throw Ec2Faults.BadValue($"The description has more than {MaxDescriptionLength} characters");

    private void RemoveExpiredTokens()
    {
        while (_tokenExpiries.TryPeek(out var oldest) && (oldest.ExpiresAt <= Now || _tokens.Count >= MaxTokens))
            _tokens.Remove(_tokenExpiries.Dequeue().Token);
    }

    private static string Fingerprint(CreateInterfaceRequest request) =>
        string.Join(
            '\n',
            request.Subnet,
            request.Description,
            request.InterfaceType,
            request.PrimaryAddress,
            string.Join(',', request.Groups),
            Fingerprint(request.Ipv4),
            request.Ipv6 is { } ipv6 ? Fingerprint(ipv6) : "",
            request.EnablePrimaryIpv6,
            request.ConnectionTracking,
            string.Join(
                '\u0001',
                request.Tags.OrderBy(tag => tag.Key, StringComparer.Ordinal).Select(tag => tag.Key + '\u0002' + tag.Value)
            )
        );

    private static string Fingerprint(AddressRequest request) =>
        string.Create(
            CultureInfo.InvariantCulture,
            $"{request.AddressCount};{string.Join(',', request.Addresses)};{request.PrefixCount};{string.Join(',', request.Prefixes)}"
        );

    private sealed record TokenUse(string Fingerprint, NetworkInterface Created);
}
