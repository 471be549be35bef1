package test

import (
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

// SIGTERM on the leader: it hands over, exits 0, and writes elsewhere go on
// without waiting for an election timeout.
func TestHandOver(t *testing.T) {
	t.Parallel()
	// An election timeout of 3 to 6 seconds: only a leadership that was handed
	// over can explain a shorter pause.
	c := startCluster(t, 3, "--election-ticks", "30")
	leader := c.leader()
	term := leader.mustStatus().Term
	writer := c.followers(leader)[0]

	done := make(chan struct{})
	type result struct {
		writes  int
		longest time.Duration
		refused []string
		unknown int // of these, whose outcome is not known
	}
	results := make(chan result)
	go func() {
		var res result
		last := time.Now()
		for i := 0; ; i++ {
			select {
			case <-done:
				results <- res
				return
			default:
			}
			if err := tryPut(writer, "k", fmt.Sprint(i)); err != nil {
				res.refused = append(res.refused, err.Error())
				if !strings.Contains(err.Error(), `"not_applied"`) {
					res.unknown++
				}
				pause(done, 5*time.Millisecond)
				continue
			}
			now := time.Now()
			res.writes, res.longest, last = res.writes+1, max(res.longest, now.Sub(last)), now
		}
	}()
	pause(nil, 300*time.Millisecond) // under load
	if code := leader.term(); code != 0 {
		t.Errorf("exit code %d after SIGTERM, want 0", code)
	}
	next := c.leader()
	pause(nil, 300*time.Millisecond)
	close(done)
	res := <-results

	t.Logf("%d writes, the longest pause between two %v, refused: %q", res.writes, res.longest, res.refused)
	if res.unknown > 0 {
		t.Errorf("of %d writes nobody knows what became of them", res.unknown)
	}
	if res.longest > 2*time.Second {
		t.Errorf("writes paused for %v, want less than an election timeout", res.longest)
	}
	if got := next.mustStatus().Term; got != term+1 {
		t.Errorf("term %d became %d, want one election", term, got)
	}
	leader.start()
	leader.waitReady(20 * time.Second)
}

// A second signal ends a member that is still draining.
func TestSecondSignal(t *testing.T) {
	t.Parallel()
	m := startCluster(t, 1).members[0]
	m.process().signal(syscall.SIGTERM)
	m.process().signal(syscall.SIGTERM)
	m.process().exitCode(3 * time.Second)
	m.start()
	m.waitReady(15 * time.Second)
}

// A member that joined by itself restarts with the flags it began with, and is
// not added twice; one that was added beforehand joins under its id.
func TestJoin(t *testing.T) {
	t.Parallel()
	c := startCluster(t, 1)
	n1 := c.members[0]
	n1.put("k", "v")
	n2 := c.join(2, n1)
	n2.start()
	n2.waitReady(20 * time.Second)
	n2.wantValue("k", "v")
	wantVoters(t, n1, 2)

	n2.kill()
	n1.kill() // nobody answers --join's URL now
	n2.start()
	n1.start()
	n1.waitReady(20 * time.Second)
	n2.waitReady(20 * time.Second)
	n2.put("k", "w")
	wantVoters(t, n1, 2)

	n3 := c.join(33, n2)
	r := n2.call(http.MethodPost, "/v1/members", fmt.Appendf(nil, `{"id":33,"peer_url":%q}`, n3.peerURL))
	if err := r.want(http.StatusCreated); err != nil {
		t.Fatal(err)
	}
	n3.start()
	n3.waitReady(20 * time.Second)
	n3.wantValue("k", "w")
	wantVoters(t, n1, 3)
	if s := n3.mustStatus(); s.ID != 33 || s.ClusterID != n1.mustStatus().ClusterID {
		t.Errorf("it joined as %d of %s", s.ID, s.ClusterID)
	}

	// A member whose directory is lost must not begin again under its id: it
	// may have voted and acknowledged.
	n3.kill()
	lost := newMember(t, 33, "--join", n1.clientURL)
	lost.peerURL = n3.peerURL
	wantRefusal(t, lost.command(), "33", "has already run", "/v1/members/33")
}

// wantVoters waits until m sees n voters and no learner.
func wantVoters(t *testing.T, m *member, n int) {
	t.Helper()
	waitFor(t, 20*time.Second, fmt.Sprintf("%d voters", n), func() error {
		s, err := m.status()
		if err == nil && (len(s.VoterIDs) != n || len(s.LearnerIDs) != 0) {
			err = fmt.Errorf("voters %v, learners %v", s.VoterIDs, s.LearnerIDs)
		}
		return err
	})
}
