package webhook

import (
	"fmt"
	"net/netip"
)

// Guard says which addresses may be dialled, for URLs that are not the
// operator's own. The zero Guard allows what is reached over the public internet,
// and nothing else.
type Guard struct {
	// Inner are networks inside that may be reached all the same.
	Inner []netip.Prefix
}

// notPublic are the networks of the registries of special-purpose addresses
// (IANA, RFC 6890) that no receiver on the public internet has. Loopback,
// private, link-local and multicast ones are among them, and so the addresses at
// which clouds tell an instance its credentials. One of Azure is no special one by
// the registries, and leads inside all the same.
//
//nolint:gochecknoglobals // a table.
var notPublic = prefixes(
	"0.0.0.0/8",        // this network
	"10.0.0.0/8",       // private
	"100.64.0.0/10",    // shared by the customers of a provider
	"127.0.0.0/8",      // loopback
	"168.63.129.16/32", // the platform of Azure, seen from inside it
	"169.254.0.0/16",   // link-local, with the metadata of clouds
	"172.16.0.0/12",    // private
	"192.0.0.0/24",     // protocols
	"192.0.2.0/24",     // documentation
	"192.88.99.0/24",   // relays from IPv6
	"192.168.0.0/16",   // private
	"198.18.0.0/15",    // measurements
	"198.51.100.0/24",  // documentation
	"203.0.113.0/24",   // documentation
	"224.0.0.0/4",      // multicast
	"240.0.0.0/4",      // reserved, with broadcast
)

// public6 is what is given to the public internet of IPv6, and notPublic6 what is
// not, or carries an address of IPv4 inside, which a gateway may unpack.
//
//nolint:gochecknoglobals // tables.
var (
	public6    = prefixes("2000::/3")
	notPublic6 = prefixes(
		"2001::/23",     // protocols, with Teredo
		"2001:db8::/32", // documentation
		"2002::/16",     // 6to4
		"3fff::/20",     // documentation
	)
)

func prefixes(texts ...string) []netip.Prefix {
	all := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		all[i] = netip.MustParsePrefix(text)
	}
	return all
}

// Allow is for Config.Allow: it refuses an address that is not public. It sees
// what a name was resolved to, so no name and no way to write an address gets
// around it.
func (g Guard) Allow(target netip.AddrPort) error {
	// A zone names an interface of this machine, and a mapped address is the one
	// of IPv4 inside.
	addr := target.Addr().Unmap()
	if addr.Zone() == "" && (within(g.Inner, addr) || public(addr)) {
		return nil
	}
	return fmt.Errorf("%s is not on the public internet; if receivers are inside, allow their network with --webhook-allow", addr)
}

func public(addr netip.Addr) bool {
	if addr.Is4() {
		return !within(notPublic, addr)
	}
	return within(public6, addr) && !within(notPublic6, addr)
}

func within(networks []netip.Prefix, addr netip.Addr) bool {
	for _, n := range networks {
		if n.Contains(addr) {
			return true
		}
	}
	return false
}
