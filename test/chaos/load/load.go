package load

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"kvd/test/chaos/history"
)

// Endpoint is a member as clients see it.
type Endpoint struct{ Name, URL string }

// Config is what a load is made of. All fields are needed.
type Config struct {
	Endpoints func() []Endpoint // of the members at the moment, up or not; never empty
	Dial      func(ctx context.Context, network, addr string) (net.Conn, error)
	History   *history.Writer
	Seed      uint64
	Registers int // groups of four clients
	Others    int // groups of each other sort
}

// Load is many clients.
type Load struct {
	cfg     Config
	conns   atomic.Int64 // numbers connections
	clients atomic.Int64 // numbers clients
	tally   *Tally

	watchers []*watcher // set by Run
}

// New makes a load. Run sets it to work.
func New(cfg Config) *Load { return &Load{cfg: cfg, tally: newTally()} }

// Tally is what has become of the operations so far.
func (l *Load) Tally() *Tally { return l.tally }

// Run works until ctx ends; operations that are under way then are waited for.
func (l *Load) Run(ctx context.Context) {
	var wg sync.WaitGroup
	clients := func(n int, work func(c *client) func(context.Context)) {
		for range n {
			c := l.newClient()
			do := work(c)
			wg.Go(func() {
				defer c.close()
				for ctx.Err() == nil {
					do(ctx)
				}
			})
		}
	}
	for i := range l.cfg.Registers {
		g := l.newGroup(fmt.Sprintf("r/%d", i))
		clients(4, func(c *client) func(context.Context) { return (&register{client: c, g: g}).step })
	}
	for i := range l.cfg.Others {
		n := l.newGroup(fmt.Sprintf("i/%d", i))
		clients(3, func(c *client) func(context.Context) { return (&counter{client: c, g: n}).step })
		t := l.newGroup(fmt.Sprintf("t/%d", i))
		clients(3, func(c *client) func(context.Context) { return (&transactor{client: c, g: t}).step })
		p := l.newGroup(fmt.Sprintf("p/%d", i))
		clients(2, func(c *client) func(context.Context) { return (&lister{client: c, g: p}).step })
		clients(1, func(c *client) func(context.Context) {
			return (&tenant{client: c, prefix: fmt.Sprintf("l/%d", i)}).step
		})
	}
	for i, what := range l.watches() {
		c := l.newClient()
		w := &watcher{client: c, number: i + 1, what: what}
		l.watchers = append(l.watchers, w)
		wg.Go(func() {
			defer c.close()
			for ctx.Err() == nil {
				w.step(ctx)
			}
		})
	}
	wg.Wait()
}

// newClient makes a client with a number and a source of randomness of its own.
func (l *Load) newClient() *client {
	id := int(l.clients.Add(1))
	return newClient(l, id, rand.New(rand.NewPCG(l.cfg.Seed, uint64(id))))
}

// Limits that keep the check of one key's history from growing without end.
const (
	opsPerKey = 1400
	keyLife   = 5 * time.Second
)

// group is a few clients that fight over the same keys.
type group struct {
	prefix string

	mu    sync.Mutex
	n     int // the present key, or set of keys
	ops   int // asked for on it
	until time.Time
}

func (l *Load) newGroup(prefix string) *group { return &group{prefix: prefix} }

// key is the key for the next operation.
func (g *group) key() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	if now := time.Now(); g.ops == opsPerKey || now.After(g.until) {
		g.n, g.ops, g.until = g.n+1, 0, now.Add(keyLife)
	}
	g.ops++
	return fmt.Sprintf("%s/%d", g.prefix, g.n)
}
