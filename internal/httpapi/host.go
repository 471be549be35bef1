package httpapi

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// hostSet are the names that requests may address this member by. A web page
// whose name was rebound to our address sends its own name as Host; refusing
// all but ours on every route is the defence (SECURITY: DNS rebinding).
type hostSet map[string]struct{}

// newHostSet takes names and addresses, each with or without a port.
func newHostSet(hosts []string) hostSet {
	set := hostSet{"localhost": {}, "127.0.0.1": {}, "::1": {}}
	for _, host := range hosts {
		name, ok := hostname(host)
		if !ok {
			name = host // an IPv6 address without brackets, as flags have it
		}
		name = canonicalHost(name)
		if ip, err := netip.ParseAddr(name); name == "" || err == nil && ip.IsUnspecified() {
			continue
		}
		set[name] = struct{}{}
	}
	return set
}

// allows tells whether the request addresses this member.
func (s hostSet) allows(r *http.Request) bool {
	name, ok := hostname(r.Host)
	if !ok {
		return false
	}
	if _, ok := s[name]; ok {
		return true
	}
	return s.allowsSlowly(name, r)
}

func (s hostSet) allowsSlowly(name string, r *http.Request) bool {
	name = canonicalHost(name)
	if _, ok := s[name]; ok {
		return true
	}
	ip, err := netip.ParseAddr(name)
	if err != nil {
		return false
	}
	if ip.IsLoopback() {
		return true
	}
	// The address that the connection was accepted on is one of this member's,
	// which a listener on a wildcard address cannot know beforehand.
	local, _ := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	return local != nil && local.AddrPort().Addr().Unmap().WithZone("") == ip
}

// hostname cuts the port off a Host header. False: it is not one.
func hostname(host string) (string, bool) {
	name, port := host, ""
	if strings.HasPrefix(host, "[") {
		end := strings.IndexByte(host, ']')
		if end < 0 {
			return "", false
		}
		name, port = host[1:end], host[end+1:]
		if port != "" && port[0] != ':' {
			return "", false
		}
	} else if i := strings.IndexByte(host, ':'); i >= 0 {
		name, port = host[:i], host[i:]
	}
	for i := 1; i < len(port); i++ {
		if port[i] < '0' || port[i] > '9' {
			return "", false
		}
	}
	return name, name != ""
}

// canonicalHost is the one form of a name or address that is compared.
func canonicalHost(name string) string {
	if ip, err := netip.ParseAddr(name); err == nil {
		return ip.Unmap().WithZone("").String()
	}
	return strings.ToLower(strings.TrimSuffix(name, "."))
}
