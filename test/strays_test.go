package test

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A member of another cluster that listens where one of ours is expected is
// refused, and both sides say so in their logs. Neither cluster minds.
func TestCrossedPeerPorts(t *testing.T) {
	t.Parallel()
	ours := startCluster(t, 3)
	gone := ours.followers(ours.leader())[0]
	ours.members[0].put("k", "ours")
	gone.kill()
	ours.leader()

	theirs := newCluster(t, 2)
	// The second member of theirs has the first of theirs for a peer, and sits at
	// our member's address.
	stray := theirs.members[1]
	stray.args = append(stray.args, "--listen-peer", gone.peerAddr())
	unshaken(t, &cluster{t: t, members: ours.followers(gone)}, func() {
		for _, m := range theirs.members {
			m.start()
		}
		// Its own peers do not find it where it should be, so it has no leader; it
		// must not get one from us either.
		other := ours.followers(gone)[0]
		for _, tt := range []struct{ m, about *member }{{other, gone}, {stray, other}} {
			waitFor(t, 20*time.Second, tt.m.name()+" logs that clusters are mixed up", func() error {
				for line := range strings.Lines(tt.m.process().output()) {
					if strings.Contains(line, "WARN") && (strings.Contains(line, "cluster_id_mismatch") || strings.Contains(line, "another cluster") || strings.Contains(line, "other cluster")) {
						return nil
					}
				}
				return fmt.Errorf("no such line")
			})
		}
		if s := stray.mustStatus(); s.Leader != 0 || s.AppliedIndex > 2 {
			t.Errorf("the stray member follows %d and has applied %d", s.Leader, s.AppliedIndex)
		}
	})
	if s, other := stray.mustStatus(), ours.followers(gone)[0].mustStatus(); s.ClusterID == other.ClusterID {
		t.Errorf("both clusters have the id %s", s.ClusterID)
	}
	stray.kill()
	gone.start()
	gone.waitReady(20 * time.Second)
	gone.wantValue("k", "ours")
}

// A member whose directory was replaced by an older copy of it has forgotten
// what it acknowledged. Its own disk cannot show that to it; the leader's
// messages do. It says so loudly, or stops with exit code 3, and either way it
// answers nothing from what it has forgotten to have.
func TestOldCopyOfDirectory(t *testing.T) {
	t.Parallel()
	c := startCluster(t, 3)
	leader := c.leader()
	victim := c.followers(leader)[0]
	w := startWriters(t, "w/", 500, 2*time.Millisecond, goPutters(t, 4, c.members...)...)
	w.waitMore(10*time.Second, 100)
	victim.kill()
	old := filepath.Join(t.TempDir(), "old")
	copyTree(t, victim.dir, old)
	victim.start()
	victim.waitReady(20 * time.Second)
	w.waitMore(10*time.Second, 200) // it acknowledges these
	leader.put("k", "new")
	c.waitApplied(10 * time.Second)
	victim.kill()

	now := victim.dir
	victim.dir = old
	seen := len(victim.process().output())
	victim.start()
	p := victim.process()
	waitFor(t, 10*time.Second, "the member ends, or says what is wrong", func() error {
		said := p.output()[seen:]
		if p.running() && !strings.Contains(said, "ERROR") {
			return fmt.Errorf("it says nothing of it: %s", said)
		}
		return nil
	})
	w.waitMore(10*time.Second, 50)
	if p.running() {
		r := victim.timed(time.Second, http.MethodGet, "/v1/kv/k?timeout=1s", nil)
		if r.status != http.StatusServiceUnavailable && r.status != http.StatusGatewayTimeout && string(r.body) != "new" {
			t.Errorf("a linearizable GET: %d %s", r.status, r.body)
		}
		victim.kill()
	} else if code := p.exitCode(time.Second); code != 3 {
		t.Errorf("exit code %d, want 3", code)
	}
	said := p.output()[seen:]
	if !strings.Contains(said, "copy") || !strings.Contains(said, "replace") || strings.Contains(said, "goroutine ") {
		t.Errorf("it does not say what has happened and what to do: %.3000s", said)
	}
	w.stop()
	w.wantNoneFailed()
	w.wantAll(c.followers(victim)...)

	// Its own directory is as good as ever.
	victim.dir = now
	victim.start()
	victim.waitReady(20 * time.Second)
	w.wantAll(victim)
}
