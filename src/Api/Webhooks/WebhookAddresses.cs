using System.Net;
using System.Net.Sockets;

namespace OrleansMemory.Api.Webhooks;

/// <summary>Addresses that a webhook may not be sent to: what a stranger who can name an address must not reach through this node.</summary>
internal static class WebhookAddresses
{
    private static readonly IPNetwork[] Private =
    [
        .. ((string[])
        [
            "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16",
            "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
            "::/128", "::1/128", "100::/64", "2001::/23", "2001:db8::/32", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8",
        ]).Select(static text => IPNetwork.Parse(text)),
    ];

    private static readonly IPNetwork Translated = IPNetwork.Parse("64:ff9b::/96");
    private static readonly IPNetwork TranslatedLocally = IPNetwork.Parse("64:ff9b:1::/48");
    private static readonly IPNetwork SixToFour = IPNetwork.Parse("2002::/16");

    /// <summary>Whether anybody on the internet could be meant. An address that stands for an IPv4 one is judged as that.</summary>
    public static bool IsPublic(IPAddress address)
    {
        if (address.IsIPv4MappedToIPv6)
        {
            return IsPublic(address.MapToIPv4());
        }

        if (address.AddressFamily == AddressFamily.InterNetworkV6)
        {
            var bytes = address.GetAddressBytes();
            if (TranslatedLocally.Contains(address) || bytes.AsSpan(0, 12).IndexOfAnyExcept((byte)0) < 0)
            {
                return false;
            }

            if (Translated.Contains(address))
            {
                return IsPublic(new IPAddress(bytes.AsSpan(12)));
            }

            if (SixToFour.Contains(address))
            {
                return IsPublic(new IPAddress(bytes.AsSpan(2, 4)));
            }
        }

        return !Array.Exists(Private, network => network.BaseAddress.AddressFamily == address.AddressFamily && network.Contains(address));
    }
}
