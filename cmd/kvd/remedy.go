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

// anyMember stands for what nobody knows here: where a member of the cluster
// serves clients.
const anyMember = "http://ANY-MEMBER"

// remedy is the way out for a member whose data directory has lost something:
// it must not vote again under its old id. The commands can be typed as they
// are; serve are the flags and whatever else the member needs to start again.
func remedy(u *raftnode.Unusable, serve serveCommand) string {
	id, via := "ID", otherMember(u)
	if u.Identity.Member != 0 {
		id = fmt.Sprint(u.Identity.Member)
	}
	fresh := shellWord(freshDirectory(u.Dir))
	replace := fmt.Sprintf("curl -X DELETE %s/v1/members/%s && %skvd serve --join %s --data-dir %s%s",
		via, id, serve.before, via, fresh, serve.after)
	if alone(u) {
		return fmt.Sprintf("no other member is known: begin again from %s; if there are other members after all, replace this one: %s", restoreFrom(u), replace)
	}
	return "to replace this member: " + replace
}

// restoreFrom begins a new cluster with the newest snapshot that there is.
func restoreFrom(u *raftnode.Unusable) string {
	what, file := "a snapshot, if you have one", "FILE"
	if u.Snapshot != "" {
		what, file = "the newest snapshot, without what was written since", shellWord(u.Snapshot)
	}
	return fmt.Sprintf("%s: kvd restore %s --data-dir %s", what, file, shellWord(freshDirectory(u.Dir)))
}

// otherMember is the client URL of another member, a voter if possible.
func otherMember(u *raftnode.Unusable) string {
	others := slices.DeleteFunc(slices.Clone(u.Members), func(m raftnode.Member) bool {
		return m.ID == u.Identity.Member || m.ClientURL == ""
	})
	if len(others) == 0 {
		return anyMember
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
func alone(u *raftnode.Unusable) bool {
	return len(u.Members) == 1 && u.Members[0].ID == u.Identity.Member
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
// another, around --join and --data-dir.
type serveCommand struct{ before, after string }

// sameServe starts a member with the flags that this one was started with.
func sameServe(cfg *config) serveCommand {
	var cmd serveCommand
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
