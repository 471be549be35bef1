package main

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// founder is one of the members that a cluster begins with.
type founder struct {
	ID      uint64
	PeerURL string
}

// parseCluster reads a founding list: "1=http://host:port,2=…", or URLs alone,
// where the position counts from 1 as the id. It returns the founders by id.
func parseCluster(s string) ([]founder, error) {
	var founders []founder
	var faults []error
	named := 0
	for i, entry := range strings.Split(s, ",") {
		f := founder{ID: uint64(i + 1)}
		raw := strings.TrimSpace(entry)
		if id, rest, ok := strings.Cut(raw, "="); ok {
			n, err := parseInteger(id)
			if err != nil || n == 0 {
				faults = append(faults, fmt.Errorf("%q: the part before = is not a member id; use 1, 2, …", raw))
				continue
			}
			f.ID, raw = n, strings.TrimSpace(rest)
			named++
		}
		u, err := parseURL(raw)
		if err != nil {
			faults = append(faults, fmt.Errorf("%q %w", raw, err))
			continue
		}
		f.PeerURL = u
		founders = append(founders, f)
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	if named != 0 && named != len(founders) {
		return nil, errors.New("mixes entries with and without an id; write every one as id=URL")
	}
	slices.SortFunc(founders, func(a, b founder) int { return cmp.Compare(a.ID, b.ID) })
	return founders, distinctFounders(founders)
}

// distinctFounders refuses an id or a URL that stands twice in a sorted list.
func distinctFounders(founders []founder) error {
	urls := map[string]uint64{}
	for i, f := range founders {
		if i > 0 && founders[i-1].ID == f.ID {
			return fmt.Errorf("has id %d twice; give each member an id of its own", f.ID)
		}
		if other, ok := urls[f.PeerURL]; ok {
			return fmt.Errorf("has %s as member %d and %d; give each member a URL of its own", f.PeerURL, other, f.ID)
		}
		urls[f.PeerURL] = f.ID
	}
	if n := len(founders); n > maxFounders {
		return fmt.Errorf("has %d members; found at most %d, better 3 or 5", n, maxFounders)
	}
	return nil
}

// findFounder returns the founder with an id.
func findFounder(founders []founder, id uint64) (founder, bool) {
	i := slices.IndexFunc(founders, func(f founder) bool { return f.ID == id })
	if i < 0 {
		return founder{}, false
	}
	return founders[i], true
}

// parseURL checks the URL of a member and returns it as members compare it:
// lower case, no slash at the end.
func parseURL(s string) (string, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return "", errors.New("is not a URL; use http://host:port")
	case u.Scheme == "https":
		return "", errors.New("asks for TLS, which this version does not have; use http://host:port")
	case u.Scheme != "http" || u.Opaque != "":
		return "", errors.New("is not an http URL; use http://host:port")
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || u.Path != "" && u.Path != "/":
		return "", errors.New("has more than a host and a port; use http://host:port")
	}
	host, port, err := net.SplitHostPort(u.Host)
	if n, perr := strconv.ParseUint(port, 10, 16); err != nil || perr != nil || n == 0 || host == "" || strings.ContainsAny(host, "%,=") {
		return "", errors.New("needs a host and a port; use http://host:port")
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		return "", errors.New("names no address that others can reach; use one of this machine's own")
	}
	return strings.ToLower("http://" + net.JoinHostPort(host, port)), nil
}
