// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Netlink.Wire;

/// <summary>Parses notifications, which have the format of dump messages.</summary>
internal static class NotificationMessage
{
    /// <summary>Returns null for messages without a type in this library.</summary>
    public static RouteNotification? Parse(Message message)
    {
        switch (message.Header.Type)
        {
            case Rtm.RTM_NEWLINK or Rtm.RTM_DELLINK:
                return LinkMessage.Parse(message) is { } link ? new RouteNotification.LinkChanged(ChangeOf(message), link) : null;
            case Rtm.RTM_NEWADDR or Rtm.RTM_DELADDR:
                return AddressMessage.Parse(message) is { } address
                    ? new RouteNotification.AddressChanged(ChangeOf(message), address)
                    : null;
            case Rtm.RTM_NEWROUTE or Rtm.RTM_DELROUTE:
                return RouteMessage.Parse(message) is { } route ? new RouteNotification.RouteChanged(ChangeOf(message), route) : null;
            case Rtm.RTM_NEWRULE or Rtm.RTM_DELRULE:
                return RuleMessage.Parse(message) is { } rule ? new RouteNotification.RuleChanged(ChangeOf(message), rule) : null;
            case Rtm.RTM_NEWNEIGH or Rtm.RTM_DELNEIGH:
                return NeighbourMessage.Parse(message) is { } neighbour
                    ? new RouteNotification.NeighbourChanged(ChangeOf(message), neighbour)
                    : null;
            case Rtm.RTM_NEWNETCONF:
                return ConfigurationMessage.Parse(message) is { } configuration
                    ? new RouteNotification.ConfigurationChanged(configuration.LinkIndex)
                    : null;
            default:
                return null;
        }
    }

    // In linux/rtnetlink.h each NEW number is a multiple of 4, and its DEL follows.
    private static RouteChange ChangeOf(Message message) => (message.Header.Type & 3) == 0 ? RouteChange.Set : RouteChange.Removed;
}
