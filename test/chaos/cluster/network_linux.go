package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// prefix begins the names of the namespaces and directories of all runs; the
// number of the process follows.
const prefix = "kvd-chaos-"

// network joins places by a bridge that lives in a namespace of its own:
// nothing of it shows outside. Without root the places are loopback addresses,
// and nothing can be cut.
type network struct {
	hub    string
	places []*Place
}

// openNetwork makes n places.
func openNetwork(n int, isolated bool) (*network, error) {
	w := &network{}
	pid := os.Getpid()
	for i := 1; i <= n; i++ {
		p := &Place{Number: i}
		if isolated {
			p.Addr, p.Namespace = fmt.Sprintf("10.123.45.%d", i), fmt.Sprintf("%s%d-%d", prefix, pid, i)
		} else {
			p.Addr = fmt.Sprintf("127.%d.%d.%d", 1+pid%250, pid/250%250, i)
		}
		w.places = append(w.places, p)
	}
	if !isolated {
		return w, nil
	}
	w.hub = fmt.Sprintf("%s%d-0", prefix, pid)
	if err := w.connect(); err != nil {
		return nil, errors.Join(err, w.close())
	}
	return w, nil
}

func (w *network) connect() error {
	ip := func(args ...string) error { return Run("ip", args...) }
	err := errors.Join(
		ip("netns", "add", w.hub),
		ip("-n", w.hub, "link", "add", "bridge", "type", "bridge"),
		ip("-n", w.hub, "link", "set", "bridge", "up"),
	)
	for _, p := range w.places {
		end := fmt.Sprint("place", p.Number)
		err = errors.Join(err,
			ip("netns", "add", p.Namespace),
			ip("-n", w.hub, "link", "add", end, "type", "veth", "peer", "name", "eth0", "netns", p.Namespace),
			ip("-n", w.hub, "link", "set", end, "master", "bridge", "up"),
			ip("-n", p.Namespace, "link", "set", "eth0", "address", p.hardware()),
			ip("-n", p.Namespace, "addr", "add", p.Addr+"/24", "dev", "eth0"),
			ip("-n", p.Namespace, "link", "set", "eth0", "up"),
			ip("-n", p.Namespace, "link", "set", "lo", "up"),
		)
		for _, o := range w.places {
			// A cut must not make them forget each other's hardware address: to
			// ask for it anew takes seconds.
			if o != p {
				err = errors.Join(err, ip("-n", p.Namespace, "neigh", "add", o.Addr, "lladdr", o.hardware(), "dev", "eth0", "nud", "permanent"))
			}
		}
	}
	return err
}

// close removes the namespaces, and with them the bridge, the cables and all rules.
func (w *network) close() error {
	if w.hub == "" {
		return nil
	}
	var err error
	for _, p := range w.places {
		err = errors.Join(err, removeNamespace(p.Namespace))
	}
	return errors.Join(err, removeNamespace(w.hub))
}

func removeNamespace(name string) error {
	if _, err := os.Stat("/run/netns/" + name); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return Run("ip", "netns", "del", name)
}

// namespaces are the names of all namespaces of all runs.
func namespaces() ([]string, error) {
	all, err := os.ReadDir("/run/netns")
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	var names []string
	for _, e := range all {
		if strings.HasPrefix(e.Name(), prefix) {
			names = append(names, e.Name())
		}
	}
	return names, err
}

// Reaches tries to connect from one place to another, at a port where nobody
// listens: refused is reached.
func Reaches(from, to *Place, patience time.Duration) bool {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := from.Dial(ctx, net.JoinHostPort(to.Addr, "9"))
	if err == nil {
		conn.Close()
	}
	return err == nil || errors.Is(err, syscall.ECONNREFUSED)
}

// Dial connects to addr from inside the place.
func (p *Place) Dial(ctx context.Context, addr string) (conn net.Conn, err error) {
	err = p.within(func() error {
		conn, err = new(net.Dialer).DialContext(ctx, "tcp", addr)
		return err
	})
	return conn, err
}

// Listen listens inside the place, on a port of the system's choice.
func (p *Place) Listen() (l net.Listener, err error) {
	err = p.within(func() error {
		l, err = net.Listen("tcp", net.JoinHostPort(p.Addr, "0"))
		return err
	})
	return l, err
}

// within calls f on a thread that is in the namespace of the place. A socket
// stays where it was made.
func (p *Place) within(f func() error) error {
	if p.Namespace == "" {
		return f()
	}
	// The thread comes back before anybody else gets it. It must not end instead:
	// that would end the processes that it has started.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	here, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return err
	}
	defer here.Close()
	there, err := os.Open("/run/netns/" + p.Namespace)
	if err != nil {
		return err
	}
	defer there.Close()
	if err := enter(there); err != nil {
		return err
	}
	defer func() {
		if err := enter(here); err != nil {
			panic(err) // whoever got this thread next would be in a foreign network
		}
	}()
	return f()
}

// setns is the number of the system call by architecture: package syscall has
// been closed for additions since before there was one.
var setns = map[string]uintptr{"amd64": 308, "386": 346, "arm": 375, "arm64": 268, "loong64": 268, "riscv64": 268, "ppc64le": 350, "s390x": 339}

// enter puts the present thread into a network namespace.
func enter(namespace *os.File) error {
	if _, _, errno := syscall.RawSyscall(setns[runtime.GOARCH], namespace.Fd(), syscall.CLONE_NEWNET, 0); errno != 0 {
		return fmt.Errorf("setns %s: %w", namespace.Name(), errno)
	}
	return nil
}
