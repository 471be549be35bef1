package load

import (
	"context"
	"fmt"
	"sync"
	"time"

	"kvd/test/chaos/history"
)

// listener is a watcher of one member, which stays with that.
type listener struct {
	*watcher
	of   Endpoint
	told uint64 // the newest id that was taken
}

// hear waits until the listener was told an id, or what is behind it. It returns false
// when the time is over.
func (x *listener) hear(id uint64, over <-chan struct{}) bool {
	for x.told < id {
		select {
		case x.told = <-x.ids: // what has come in time counts, whoever was waited for meanwhile
			continue
		default:
		}
		select {
		case x.told = <-x.ids:
		case <-over:
			return false
		}
	}
	return true
}

// Speak shows that the streams of every member speak: on each one all watchers go on
// from where they were at the end of Run, keys are put below all that they watch and
// deleted again, and everybody must hear of that within a limit. During the run a
// member whose streams fall silent goes unnoticed: watchers change to another one
// every few seconds. A limit below that in which members tell how far they are without
// being asked shows that it is the write that wakes them.
//
// It returns how many streams were to hear of it, and what was wrong.
func (l *Load) Speak(ctx context.Context, limit time.Duration) (streams int, silent []string) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	var all []*listener
	for _, e := range l.cfg.Endpoints() {
		for _, old := range l.watchers {
			x := &listener{of: e, watcher: &watcher{client: l.newClient(), number: len(l.watchers) + len(all) + 1, what: old.what, last: old.last, begun: old.begun,
				ids: make(chan uint64, 1)}}
			all = append(all, x)
			wg.Go(func() {
				defer x.close()
				for x.to = e; ctx.Err() == nil; x.to = e {
					if x.read(ctx) {
						x.rest(ctx) // as read does where there was no stream
					}
				}
			})
		}
	}
	listen := func(what string, wanted func(x *listener) uint64) {
		limited, cancel := context.WithTimeout(ctx, limit)
		defer cancel()
		for _, x := range all {
			if !x.hear(wanted(x), limited.Done()) {
				silent = append(silent, fmt.Sprintf("%s did not tell a watcher of %v within %v %s: it is at revision %d, want %d", x.of.Name, x.what.prefixes, limit, what, x.told, wanted(x)))
			}
		}
	}
	// The first that a stream tells is where it begins.
	listen("where it begins", func(*listener) uint64 { return 1 })
	last := make(map[string]uint64) // of the deletes below each prefix
	c := l.newClient()
	defer c.close()
	for _, w := range l.watchers {
		for _, p := range w.what.prefixes {
			if last[p] == 0 {
				last[p] = c.mark(ctx, p+"end")
			}
			if last[p] == 0 {
				return len(all), append(silent, fmt.Sprintf("nothing can be written below %q", p))
			}
		}
	}
	listen("of a write", func(x *listener) (n uint64) {
		for _, p := range x.what.prefixes {
			n = max(n, last[p])
		}
		return n
	})
	return len(all), silent
}

// mark puts a key and deletes it, and returns the revision of that; 0: it cannot.
func (c *client) mark(ctx context.Context, key string) uint64 {
	done := func(o *history.Op) bool {
		c.begin(o)
		c.write(o)
		c.end(ctx, o)
		return o.Outcome == history.OK && o.Hit
	}
	for tries := 0; tries < 10 && ctx.Err() == nil; tries++ {
		gone := &history.Op{Kind: history.Delete, Key: key}
		if done(&history.Op{Kind: history.Put, Key: key, Value: c.value()}) && done(gone) {
			return gone.Revision
		}
	}
	return 0
}
