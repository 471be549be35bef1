package fault

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"kvd/test/chaos/cluster"
)

// proxy takes the connections that come to the peer port of a place, and carries
// what goes over them late: by the same time each way, in order, at any rate.
type proxy struct {
	place *cluster.Place
	late  time.Duration
	l     net.Listener
	stop  context.CancelFunc
	wg    sync.WaitGroup
	conns atomic.Int64
	bytes atomic.Int64
}

// openProxy listens inside the place.
func openProxy(place *cluster.Place, late time.Duration) (*proxy, error) {
	l, err := place.Listen()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	p := &proxy{place: place, late: late, l: l, stop: cancel}
	p.wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			p.conns.Add(1)
			p.wg.Go(func() { p.forward(ctx, conn) })
		}
	})
	return p, nil
}

func (p *proxy) port() string { return strconv.Itoa(p.l.Addr().(*net.TCPAddr).Port) }

// close ends all connections and joins the goroutines.
func (p *proxy) close() error {
	p.stop()
	err := p.l.Close()
	p.wg.Wait()
	return err
}

func (p *proxy) forward(ctx context.Context, conn net.Conn) {
	defer conn.Close()
	back, err := p.place.Dial(ctx, p.place.Peer())
	if err != nil {
		return
	}
	defer back.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close(); back.Close() })
	defer stop()
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { p.carry(ctx, conn, back) })
	p.carry(ctx, back, conn)
}

// chunk is what was read at once, and when it may go on.
type chunk struct {
	data []byte
	due  time.Time
}

// carry moves what comes from one connection to another until either ends, and
// then ends both.
func (p *proxy) carry(ctx context.Context, to, from net.Conn) {
	defer to.Close()
	defer from.Close()
	chunks := make(chan chunk, 256)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer close(chunks)
	wg.Go(func() {
		defer to.Close()
		defer from.Close()
		for c := range chunks {
			if !cluster.Pause(ctx, time.Until(c.due)) {
				continue // drain, so that the reader ends
			}
			if _, err := to.Write(c.data); err != nil {
				from.Close()
			}
		}
	})
	for {
		buf := make([]byte, 16<<10)
		n, err := from.Read(buf)
		if n > 0 {
			p.bytes.Add(int64(n))
			chunks <- chunk{buf[:n], time.Now().Add(p.late)}
		}
		if err != nil {
			return
		}
	}
}

// delay puts a proxy before the peer port of a member for all others, and before
// theirs for it. Connections of before are broken, so that new ones go that way.
func delay(w *Wound) error {
	m, err := w.one()
	if err != nil {
		return err
	}
	w.struck(m)
	late := w.between(10*time.Millisecond, 200*time.Millisecond).Round(time.Millisecond)
	w.detail("%v each way", late)
	for _, at := range w.c.Members() {
		from := []string{"-i", "eth0"}
		if at != m {
			from = []string{"-s", m.Place.Addr}
		}
		if err := w.divert(at, late, from...); err != nil {
			return err
		}
	}
	// Whoever comes to the member waits twice: for the way there and the way back.
	o := w.others(m)[0]
	took, err := w.roundTrip(o.Place, m.Place, 4*late+2*time.Second)
	if err != nil {
		return fmt.Errorf("probe through the proxy: %w", err)
	}
	if took < 2*late {
		return fmt.Errorf("the probe took %v, less than twice %v", took, late)
	}
	w.shown("a probe from %s to %s took %v", o.Name(), m.Name(), took.Round(time.Millisecond))
	return nil
}

// divert sends what comes to the peer port of a member through a proxy.
func (w *Wound) divert(at *cluster.Member, late time.Duration, from ...string) error {
	p, err := openProxy(at.Place, late)
	if err != nil {
		return err
	}
	w.undo = append(w.undo, p.close)
	spec := append([]string{"-t", "nat", "PREROUTING"}, from...)
	spec = append(spec, "-p", "tcp", "--dport", cluster.PeerPort, "-j", "REDIRECT", "--to-ports", p.port())
	change := func(how string) error {
		args := append([]string{"iptables", "-w", spec[0], spec[1], how}, spec[2:]...)
		return at.Place.Run(args...)
	}
	if err := change("-A"); err != nil {
		return err
	}
	w.undo = append(w.undo, func() error { return change("-D") })
	w.prove = append(w.prove, func() (string, error) {
		if p.conns.Load() == 0 {
			return "", nil // the others speak for it; the probe has shown one
		}
		return fmt.Sprintf("%d connections and %d bytes to %s were late", p.conns.Load(), p.bytes.Load(), at.Name()), nil
	})
	return at.Place.Run("ss", "-K", "sport", "=", ":"+cluster.PeerPort)
}

// roundTrip asks the peer port of a place for anything, and returns how long the
// answer took.
func (w *Wound) roundTrip(from, to *cluster.Place, limit time.Duration) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(w.ctx, limit)
	defer cancel()
	began := time.Now()
	conn, err := from.Dial(ctx, to.Peer())
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return 0, err
	}
	if _, err := fmt.Fprintf(conn, "GET /probe HTTP/1.1\r\nHost: %s\r\n\r\n", to.Peer()); err != nil {
		return 0, err
	}
	_, err = conn.Read(make([]byte, 1))
	return time.Since(began), err
}
