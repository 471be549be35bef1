package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"kvd/internal/raftnode"
)

// Stand for what nobody knows here: where a member of the cluster serves
// clients, and which member this is.
const (
	anyMember = "http://ANY-MEMBER"
	someID    = "ID"
)

// remedy is the way out for a member whose data directory has lost something:
// it must not vote again under its old id. The commands can be typed as they
// are, but for what neither the directory nor the command line tells.
func remedy(u *raftnode.Unusable, serve serveCommand) string {
	self := serve.member(u)
	id, via := someID, otherMember(u, self, serve)
	if self != 0 {
		id = fmt.Sprint(self)
	}
	if via == "" {
		via = cmp.Or(serve.join, anyMember)
	}
	replace := serve.inPlaceOf(id, via, u.Dir)
	blanks := blanks(id, via)
	switch {
	case alone(u, self):
		return fmt.Sprintf("no other member is known: begin again from %s; if there are other members after all, replace this one%s: %s", restoreFrom(u), blanks, replace)
	case len(u.Members) == 0 && serve.join == "" && !serve.cluster:
		return fmt.Sprintf("if this was the only member of its cluster, begin again from %s; if not, replace it%s: %s", restoreFrom(u), blanks, replace)
	}
	return fmt.Sprintf("to replace this member%s: %s", blanks, replace)
}

// blanks explains what has to be filled in.
func blanks(id, via string) string {
	var b []string
	if via == anyMember {
		b = append(b, "ANY-MEMBER is the host and port at which another one serves clients")
	}
	if id == someID {
		b = append(b, "ID is its id, as GET /v1/members tells there")
	}
	if len(b) == 0 {
		return ""
	}
	return " (" + strings.Join(b, ", ") + ")"
}

// restoreFrom begins a new cluster with the newest snapshot that there is.
func restoreFrom(u *raftnode.Unusable) string {
	what, file := "a snapshot, if you have one", "FILE"
	if u.Snapshot != "" {
		what, file = "the newest snapshot, without what was written since", shellWord(u.Snapshot)
	}
	return fmt.Sprintf("%s: kvd restore %s --data-dir %s", what, file, shellWord(freshDirectory(u.Dir)))
}

// otherMember is the client URL of a member other than self, a voter if
// possible; empty: none is known. Where self took the place of another on the
// same machine, what is left of its log may still tell of that one: nobody is
// there.
func otherMember(u *raftnode.Unusable, self uint64, serve serveCommand) string {
	others := slices.DeleteFunc(slices.Clone(u.Members), func(m raftnode.Member) bool {
		return m.ID == self || m.ClientURL == "" || sameURL(m.ClientURL, serve.clientURL) || m.PeerURL != "" && sameURL(m.PeerURL, serve.peerURL)
	})
	if len(others) == 0 {
		return ""
	}
	return strings.TrimSuffix(slices.MinFunc(others, func(a, b raftnode.Member) int {
		if a.Learner != b.Learner {
			if b.Learner {
				return -1
			}
			return 1
		}
		return cmp.Compare(a.ID, b.ID)
	}).ClientURL, "/")
}

// alone tells whether a member is the only one of its cluster.
func alone(u *raftnode.Unusable, self uint64) bool {
	return len(u.Members) == 1 && u.Members[0].ID == self
}

// freshDirectory is a name beside dir that nothing has.
func freshDirectory(dir string) string {
	dir = strings.TrimRight(dir, "/")
	for n := 1; ; n++ {
		name := dir + ".new"
		if n > 1 {
			name += fmt.Sprint(n)
		}
		if _, err := os.Lstat(name); errors.Is(err, fs.ErrNotExist) || n > 100 {
			return name
		}
	}
}

// serveCommand is what "kvd serve" needs to start a member in the place of
// another, around --join and --data-dir, and what its command line tells of a
// member whose directory tells nothing.
type serveCommand struct {
	before, after string
	id            uint64 // 0: it has none
	clientURL     string // where the member was reached; empty: not known
	peerURL       string
	join          string // client URL of another member; empty: it has none
	cluster       bool   // it names other members, though not where they serve clients
}

// member is the id of the member with a damaged directory; 0: nobody knows.
func (c serveCommand) member(u *raftnode.Unusable) uint64 {
	if id := cmp.Or(u.Identity.Member, c.id); id != 0 {
		return id
	}
	for _, m := range u.Members {
		if c.peerURL != "" && sameURL(m.PeerURL, c.peerURL) {
			return m.ID
		}
	}
	return 0
}

// inPlaceOf are the commands that remove a member and start another one beside
// its directory. Where the removal is refused curl has to fail, and show why.
func (c serveCommand) inPlaceOf(id, via, dir string) string {
	return fmt.Sprintf("curl --fail-with-body -X DELETE %s/v1/members/%s && %skvd serve --join %s --data-dir %s%s",
		via, id, c.before, via, shellWord(freshDirectory(dir)), c.after)
}

// sameServe starts a member with the flags that this one was started with. cfg
// must be settled.
func sameServe(cfg *config) serveCommand {
	cmd := serveCommand{clientURL: cfg.AdvertiseClient, peerURL: cfg.AdvertisePeer, join: cfg.Join, cluster: len(cfg.founders) > 1}
	if cfg.claimsID() {
		cmd.id = cfg.ID
	}
	copied := *cfg
	fs := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	registerFlags(fs, &copied)
	fs.VisitAll(func(f *pflag.Flag) {
		switch {
		case f.Name == "id", f.Name == "cluster", f.Name == "join", f.Name == "data-dir":
			if cfg.fromEnv[f.Name] && (f.Name == "id" || f.Name == "cluster") {
				cmd.before += " -u " + envName(f.Name)
			}
		case cfg.fromEnv[f.Name]: // it still will be
		case f.Name == "listen-peer" && cfg.Cluster != "", f.Name == "advertise-peer" && cfg.Cluster != "", cfg.given[f.Name]:
			// Those two may have come from --cluster.
			cmd.after += " --" + f.Name + "=" + shellWord(f.Value.String())
		}
	})
	if cmd.before != "" {
		cmd.before = "env" + cmd.before + " "
	}
	return cmd
}

// likelyServe starts a member where this one was reached. Without its command
// line that is the best guess.
func likelyServe(u *raftnode.Unusable) serveCommand {
	var cmd serveCommand
	i := slices.IndexFunc(u.Members, func(m raftnode.Member) bool { return m.ID == u.Identity.Member })
	if i < 0 {
		return cmd
	}
	cmd.clientURL, cmd.peerURL = u.Members[i].ClientURL, u.Members[i].PeerURL
	insecure := false
	for _, a := range []struct{ flag, url string }{{"listen-client", u.Members[i].ClientURL}, {"listen-peer", u.Members[i].PeerURL}} {
		if at, err := url.Parse(a.url); err == nil && at.Host != "" {
			cmd.after += " --" + a.flag + "=" + shellWord(at.Host)
			insecure = insecure || !isLoopback(hostOf(at.Host))
		}
	}
	if insecure {
		cmd.after += " --insecure"
	}
	return cmd
}

func hostOf(hostPort string) string {
	host, _, err := net.SplitHostPort(hostPort)
	if err != nil {
		return hostPort
	}
	return host
}

// shellWord writes s so that a shell reads it as one word.
func shellWord(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_-./:=,@%+", r)
	}
	if s != "" && !strings.ContainsFunc(s, func(r rune) bool { return !plain(r) }) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
