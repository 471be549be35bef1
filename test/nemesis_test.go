package test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// fault is one way to hurt a cluster: which members, and what is done to them.
type fault struct {
	name    string
	victims func(c *cluster, leader *member, rng *rand.Rand) []*member
	hurt    func(m *member)
	heal    func(m *member)
	quorum  bool // two of three members go on
}

var faults = []fault{
	{"kill -9 the leader", onlyLeader, (*member).kill, restart, true},
	{"kill -9 a follower", oneFollower, (*member).kill, restart, true},
	{"kill -9 the leader and a follower", leaderAndFollower, (*member).kill, restart, false},
	{"kill -9 all", everyone, (*member).kill, restart, false},
	{"SIGSTOP the leader", onlyLeader, freeze, (*member).cont, true},
	{"SIGSTOP a follower", oneFollower, freeze, (*member).cont, true},
	{"SIGSTOP both followers", bothFollowers, freeze, (*member).cont, false},
	{"restart the leader", onlyLeader, shutDown, restart, true},
	{"restart a follower", oneFollower, shutDown, restart, true},
}

func onlyLeader(_ *cluster, l *member, _ *rand.Rand) []*member    { return []*member{l} }
func everyone(c *cluster, _ *member, _ *rand.Rand) []*member      { return c.members }
func bothFollowers(c *cluster, l *member, _ *rand.Rand) []*member { return c.followers(l) }

func oneFollower(c *cluster, l *member, rng *rand.Rand) []*member {
	fs := c.followers(l)
	return fs[rng.IntN(len(fs)):][:1]
}

func leaderAndFollower(c *cluster, l *member, rng *rand.Rand) []*member {
	return append(oneFollower(c, l, rng), l)
}

func restart(m *member) { m.start() }

// freeze stops a process and makes sure that it stands.
func freeze(m *member) {
	m.t.Helper()
	m.stop()
	waitStopped(m.t, m.process())
}

// shutDown ends a process by SIGTERM, as a rolling restart does.
func shutDown(m *member) {
	m.t.Helper()
	if code := m.term(); code != 0 {
		m.t.Errorf("%s under load: exit code %d after SIGTERM, want 0", m.name(), code)
	}
}

// waitStopped waits until the system shows the process as stopped.
func waitStopped(t testing.TB, p *process) {
	t.Helper()
	if runtime.GOOS != "linux" {
		return
	}
	waitFor(t, 5*time.Second, p.name+" is stopped", func() error {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
		if err != nil {
			return err
		}
		// The state is the field after the name, which stands in parentheses.
		rest := string(b[strings.LastIndexByte(string(b), ')')+1:])
		if state := strings.TrimSpace(rest)[:1]; state != "T" {
			return fmt.Errorf("its state is %s", state)
		}
		return nil
	})
}

// nemesis hurts a cluster again and again, one fault at a time, each followed
// by a healing and by a moment of peace. It deals the faults like cards, so that each
// comes once before any comes twice.
type nemesis struct {
	t     *testing.T
	c     *cluster
	rng   *rand.Rand
	among []fault // what it knows to do
	deck  []fault
	count map[string]int
}

func newNemesis(t *testing.T, c *cluster, seed uint64) *nemesis {
	return &nemesis{t: t, c: c, rng: rand.New(rand.NewPCG(seed, 0)), among: faults, count: map[string]int{}}
}

// run breaks things until done is closed, and leaves the cluster whole.
func (n *nemesis) run(done <-chan struct{}) {
	for pause(done, n.between(300, 900)) {
		if len(n.deck) == 0 {
			n.deck = slices.Clone(n.among)
			n.rng.Shuffle(len(n.deck), func(i, j int) { n.deck[i], n.deck[j] = n.deck[j], n.deck[i] })
		}
		f := n.deck[0]
		n.deck = n.deck[1:]
		n.inflict(done, f)
	}
}

func (n *nemesis) inflict(done <-chan struct{}, f fault) {
	n.t.Helper()
	leader := n.c.leader()
	victims := f.victims(n.c, leader, n.rng)
	for _, m := range victims {
		before := m.process()
		f.hurt(m)
		if !before.running() && before.cmd.ProcessState.ExitCode() == -1 {
			if s := before.cmd.ProcessState.Sys().(syscall.WaitStatus).Signal(); s != syscall.SIGKILL {
				n.t.Errorf("%s died of %v", m.name(), s)
			}
		}
	}
	n.count[f.name]++
	// Sometimes longer than clients wait: they then have to be told that
	// nobody knows what became of their writes.
	pause(done, n.between(200, 1500+int(opTimeout.Milliseconds())*n.rng.IntN(2)))
	for _, m := range victims {
		f.heal(m)
	}
	for _, m := range victims {
		m.waitReady(30 * time.Second)
	}
}

// between draws a time from a range of milliseconds.
func (n *nemesis) between(from, to int) time.Duration {
	return time.Duration(from+n.rng.IntN(to-from)) * time.Millisecond
}

// total is the number of faults so far.
func (n *nemesis) total() int {
	sum := 0
	for _, k := range n.count {
		sum += k
	}
	return sum
}
