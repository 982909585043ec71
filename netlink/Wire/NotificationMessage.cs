// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Netlink.Wire;

/// <summary>Notifications are the messages of dumps, one at a time and unasked.</summary>
internal static class NotificationMessage
{
    /// <summary>Null for what this library has no type for.</summary>
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

    // In linux/rtnetlink.h every NEW is followed by its DEL, and NEW numbers are multiples of 4.
    private static RouteChange ChangeOf(Message message) => (message.Header.Type & 3) == 0 ? RouteChange.Set : RouteChange.Removed;
}
