package test

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// A founder that waits for the others says so to whoever asks, and the cluster
// is founded once all of them have come.
func TestFoundersWaitForEachOther(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3)
	c.members[0].start()
	c.members[1].start()
	m := c.members[0]
	waitFor(t, 15*time.Second, "a first founder that answers", func() error {
		r, err := send(t.Context(), http.MethodGet, m.clientURL+"/livez", nil)
		if err != nil {
			return err
		}
		return r.want(http.StatusOK)
	})
	wantProblem(t, m.call(http.MethodGet, "/readyz", nil), http.StatusServiceUnavailable, "no_leader", "")
	wantProblem(t, m.call(http.MethodPut, "/v1/kv/a", []byte("x")), http.StatusServiceUnavailable, "no_leader", "not_applied")
	c.members[2].start()
	c.waitReady()
	m.put("a", "x")
	first := c.members[0].mustStatus().ClusterID
	for _, m := range c.members {
		if id := m.mustStatus().ClusterID; id != first {
			t.Errorf("%s belongs to cluster %s, member 1 to %s", m.name(), id, first)
		}
	}
}

// A founder that lost its disk would vote and acknowledge again under an id that
// has promised something already. The others remember, and it is refused until
// it is replaced.
func TestWipedFounder(t *testing.T) {
	t.Parallel()
	c := startCluster(t, 3)
	m := c.members[2]
	c.members[0].put("k", "v")
	m.kill()
	if err := os.RemoveAll(m.dir); err != nil {
		t.Fatal(err)
	}
	code, out := runToEnd(t, m.command())
	if want := "member 3 took part in founding cluster " + c.members[0].mustStatus().ClusterID; code != 3 || !strings.Contains(out, want) {
		t.Fatalf("exit code %d, want 3, and %q: %s", code, want, out)
	}
	replaceAsPrinted(t, c, m, out).wantValue("k", "v")
}

// A member that comes back at another address tells the cluster, which finds it
// there, although nobody could reach it before.
func TestMemberMoves(t *testing.T) {
	t.Parallel()
	c := startCluster(t, 3)
	leader := c.leader()
	m, other := c.followers(leader)[0], c.followers(leader)[1]
	leader.put("k", "v")
	if code := m.term(); code != 0 {
		t.Fatalf("exit code %d, want 0", code)
	}
	m.peerURL = fmt.Sprintf("http://127.0.0.1:%d", freePort(t))
	m.args = nil // the list has its old address, and is not needed any more
	m.start()
	m.waitReady(30 * time.Second)
	leader.kill() // the two that are left must find each other
	waitFor(t, 30*time.Second, "a write without the old leader", func() error { return tryPut(other, "k", "x") })
	m.wantValue("k", "x")
}
