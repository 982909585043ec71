// SPDX-License-Identifier: Apache-2.0
using System.Text;
using VpcCni.Netlink.Wire;

namespace VpcCni.Netlink;

/// <summary>Builds requests on policy rules: <c>ip rule add</c> and <c>delete</c>.</summary>
public static class RuleRequests
{
    /// <summary>Adds a rule. The kernel returns EEXIST if the same rule exists with this priority.</summary>
    public static NetlinkRequest Add(RuleInfo rule) => Build("add", Rtm.RTM_NEWRULE, Nlm.NLM_F_CREATE | Nlm.NLM_F_EXCL, rule);

    /// <summary>
    /// Removes the first rule that matches <paramref name="rule"/> in everything it sets. The kernel returns ENOENT if there is none.
    /// Members that are null match any value.
    /// </summary>
    public static NetlinkRequest Remove(RuleInfo rule) => Build("delete", Rtm.RTM_DELRULE, 0, rule);

    private static NetlinkRequest Build(string verb, ushort type, ushort flags, RuleInfo rule)
    {
        ArgumentNullException.ThrowIfNull(rule);
        return new NetlinkRequest(RuleMessage.Change(type, flags, rule), () => Describe(verb, rule));
    }

    // For example: ip rule add not from 10.0.0.5/32 to .. fwmark 0x80/0x80 iif eth0 oif eth1 table 2 priority 1536 protocol 4
    private static string Describe(string verb, RuleInfo rule)
    {
        var text = new StringBuilder($"{IpFamily.Command(rule.Family)} rule {verb}");
        if (rule.Invert)
            text.Append(" not");
        text.Append(" from ").Append(rule.Source?.ToString() ?? "all");
        if (rule.Destination is { } destination)
            text.Append(" to ").Append(destination);
        if (rule.MarkMask != 0)
            text.Append(System.Globalization.CultureInfo.InvariantCulture, $" fwmark 0x{rule.Mark:x}/0x{rule.MarkMask:x}");
        else if (rule.Mark != 0)
            text.Append(System.Globalization.CultureInfo.InvariantCulture, $" fwmark 0x{rule.Mark:x}");
        if (rule.InputInterface is { } input)
            text.Append(" iif ").Append(input);
        if (rule.OutputInterface is { } output)
            text.Append(" oif ").Append(output);
        if (rule.Action is RuleAction.ToTable or RuleAction.Unspecified)
            text.Append(" table ").Append(rule.Table);
        else
            text.Append(' ').Append(rule.Action.ToString().ToLowerInvariant());
        text.Append(" priority ").Append(rule.Priority);
        if (rule.Protocol != RouteProtocol.Unspecified)
            text.Append(" protocol ").Append((int)rule.Protocol);
        return text.ToString();
    }
}
