package test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// isolated is a cluster whose members live in a network namespace each. A
// bridge in one more joins them; nothing of it shows outside. Clients reach a
// member through its loopback, so that cuts are between members alone.
type isolated struct {
	*cluster
	names map[*member]string // namespaces
	addrs map[*member]string // on the bridge
}

// namespaces numbers the clusters of this process.
var namespaces atomic.Uint64

// newIsolated prepares n founding members; args go to each. Nothing is started.
// It skips the test where namespaces cannot be had.
func newIsolated(t *testing.T, n int, args ...string) *isolated {
	t.Helper()
	needNamespaces(t)
	seq := namespaces.Add(1)
	c := &isolated{cluster: &cluster{t: t}, names: map[*member]string{}, addrs: map[*member]string{}}
	name := func(i int) string { return fmt.Sprintf("kvd-test-%d-%d-%d", os.Getpid(), seq, i) }
	hub := name(0)
	ip(t, "netns", "add", hub)
	t.Cleanup(func() { ip(t, "netns", "del", hub) })
	ip(t, "-n", hub, "link", "add", "bridge", "type", "bridge")
	ip(t, "-n", hub, "link", "set", "bridge", "up")

	var list []string
	for i := 1; i <= n; i++ {
		m := newMember(t, uint64(i))
		ns, addr, end := name(i), fmt.Sprintf("10.123.45.%d", i), fmt.Sprint("member", i)
		// A loopback address of its own, so that URLs differ.
		m.clientURL = fmt.Sprintf("http://127.%d.%d.%d:12380", 1+seq%250, seq/250, i)
		m.peerURL = fmt.Sprintf("http://%s:12379", addr)
		m.via = []string{"ip", "netns", "exec", ns}
		c.members = append(c.members, m)
		c.names[m], c.addrs[m] = ns, addr
		list = append(list, fmt.Sprintf("%d=%s", m.id, m.peerURL))

		ip(t, "netns", "add", ns)
		t.Cleanup(func() {
			if p := m.process(); p != nil { // it holds the namespace
				p.signal(syscall.SIGKILL)
				<-p.done
			}
			ip(t, "netns", "del", ns)
		})
		ip(t, "-n", hub, "link", "add", end, "type", "veth", "peer", "name", "eth0", "netns", ns)
		ip(t, "-n", hub, "link", "set", end, "master", "bridge", "up")
		ip(t, "-n", ns, "link", "set", "eth0", "address", hardware(i))
		ip(t, "-n", ns, "addr", "add", addr+"/24", "dev", "eth0")
		ip(t, "-n", ns, "link", "set", "eth0", "up")
		ip(t, "-n", ns, "link", "set", "lo", "up")
		for j := 1; j <= n; j++ {
			// A cut must not make them forget each other's hardware address: to
			// ask for it anew takes seconds.
			if j != i {
				ip(t, "-n", ns, "neigh", "add", fmt.Sprintf("10.123.45.%d", j), "lladdr", hardware(j), "dev", "eth0", "nud", "permanent")
			}
		}
		// Rules of ours come before the one that delivers what is addressed to us.
		ip(t, "-n", ns, "rule", "add", "pref", "100", "lookup", "local")
		ip(t, "-n", ns, "rule", "del", "pref", "0")
		client := m.clientAddr()
		dialers.Store(client, func(ctx context.Context) (net.Conn, error) { return dialIn(ctx, ns, client) })
		t.Cleanup(func() { dialers.Delete(client) })
	}
	for _, m := range c.members {
		m.args = append([]string{"--cluster", strings.Join(list, ","), "--insecure"}, args...)
	}
	return c
}

// hardware is the address of a member's end of its cable.
func hardware(i int) string { return fmt.Sprintf("02:00:00:00:00:%02x", i) }

// startIsolated starts the members, too.
func startIsolated(t *testing.T, n int, args ...string) *isolated {
	t.Helper()
	c := newIsolated(t, n, args...)
	for _, m := range c.members {
		m.start()
	}
	c.waitReady()
	return c
}

// cut makes all that from sends to to disappear: no reset, no refusal, and
// connections stay as they are.
func (c *isolated) cut(from, to *member) {
	c.t.Helper()
	ip(c.t, "-n", c.names[to], "rule", "add", "pref", "50", "from", c.addrs[from], "blackhole")
	if c.reaches(from, to) {
		c.t.Fatalf("%s still reaches %s", from.name(), to.name())
	}
}

// cutBoth cuts both ways.
func (c *isolated) cutBoth(a, b *member) {
	c.t.Helper()
	c.cut(a, b)
	c.cut(b, a)
}

// isolate cuts a member off from all others.
func (c *isolated) isolate(m *member) {
	c.t.Helper()
	for _, o := range c.members {
		if o != m {
			c.cutBoth(m, o)
		}
	}
}

// heal ends all cuts.
func (c *isolated) heal() {
	c.t.Helper()
	for _, m := range c.members {
		for { // one at a time, until there is none
			if err := exec.Command("ip", "-n", c.names[m], "rule", "del", "pref", "50").Run(); err != nil {
				break
			}
		}
	}
	for _, a := range c.members {
		for _, b := range c.members {
			if a != b && !c.reaches(a, b) {
				c.t.Fatalf("%s does not reach %s after healing", a.name(), b.name())
			}
		}
	}
}

// reaches tries to connect to the address of another member, at a port where
// nobody listens: refused is reached.
func (c *isolated) reaches(from, to *member) bool {
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	conn, err := dialIn(ctx, c.names[from], c.addrs[to]+":9")
	if err == nil {
		conn.Close()
	}
	return err == nil || errors.Is(err, syscall.ECONNREFUSED)
}

// needNamespaces skips the test where its network cannot be made, and says why.
func needNamespaces(t *testing.T) {
	t.Helper()
	skip := func(format string, args ...any) {
		t.Helper()
		t.Skipf("SKIPPED, network partitions are not tested here: "+format, args...)
	}
	if os.Getuid() != 0 {
		skip("network namespaces need root")
	}
	if setns[runtime.GOARCH] == 0 {
		skip("the number of setns on %s is not known here", runtime.GOARCH)
	}
	if _, err := exec.LookPath("ip"); err != nil {
		skip("the command ip (iproute2) is missing: %v", err)
	}
	probe := fmt.Sprintf("kvd-test-%d-probe-%d", os.Getpid(), namespaces.Add(1))
	if out, err := exec.Command("ip", "netns", "add", probe).CombinedOutput(); err != nil {
		skip("ip netns add: %v: %s", err, out)
	}
	defer ip(t, "netns", "del", probe)
	for _, args := range [][]string{
		{"link", "add", "eth0", "type", "veth", "peer", "name", "eth1"},
		{"link", "add", "bridge", "type", "bridge"},
		{"rule", "add", "pref", "50", "from", "10.123.45.1", "blackhole"},
	} {
		if out, err := exec.Command("ip", append([]string{"-n", probe}, args...)...).CombinedOutput(); err != nil {
			skip("ip %s: %v: %s", strings.Join(args, " "), err, out)
		}
	}
}

// ip runs the command of that name.
func ip(t testing.TB, args ...string) {
	t.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		t.Errorf("ip %s: %v: %s", strings.Join(args, " "), err, out)
	}
}

// setns is the number of the system call by architecture: package syscall has
// been closed for additions since before there was one.
var setns = map[string]uintptr{"amd64": 308, "386": 346, "arm": 375, "arm64": 268, "loong64": 268, "riscv64": 268, "ppc64le": 350, "s390x": 339}

// dialIn opens a connection within a network namespace: a socket stays where it
// was made.
func dialIn(ctx context.Context, namespace, addr string) (net.Conn, error) {
	// The thread comes back before anybody else gets it. It must not end instead:
	// that would end the processes that it has started.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	here, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return nil, err
	}
	defer here.Close()
	there, err := os.Open("/run/netns/" + namespace)
	if err != nil {
		return nil, err
	}
	defer there.Close()
	if err := enter(there); err != nil {
		return nil, err
	}
	defer func() {
		if err := enter(here); err != nil {
			panic(err)
		}
	}()
	return new(net.Dialer).DialContext(ctx, "tcp", addr)
}

// enter puts the present thread into a network namespace.
func enter(namespace *os.File) error {
	if _, _, errno := syscall.RawSyscall(setns[runtime.GOARCH], namespace.Fd(), syscall.CLONE_NEWNET, 0); errno != 0 {
		return fmt.Errorf("setns %s: %w", namespace.Name(), errno)
	}
	return nil
}
