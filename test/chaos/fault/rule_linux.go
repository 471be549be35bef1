package fault

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"kvd/test/chaos/cluster"
)

// marks numbers the firewall rules of this process, to find their counters.
var marks atomic.Int64

// rule lets the firewall of one place do something with what comes from another,
// until the fault is healed. Its counter is the proof. The latest rule comes first.
func (w *Wound) rule(from, to *cluster.Place, what ...string) error {
	mark := fmt.Sprintf("chaos-%d", marks.Add(1))
	spec := append([]string{"INPUT", "-s", from.Addr, "-m", "comment", "--comment", mark}, what...)
	if err := to.Run(append([]string{"iptables", "-w", "-I"}, spec...)...); err != nil {
		return err
	}
	w.undo = append(w.undo, func() error { return to.Run(append([]string{"iptables", "-w", "-D"}, spec...)...) })
	w.prove = append(w.prove, func() (string, error) {
		n, err := packets(to, mark)
		if err == nil && n == 0 {
			err = fmt.Errorf("the rule %s at %s met no packet from %s", strings.Join(what, " "), to, from)
		}
		return fmt.Sprintf("%d packets from %s at %s met %s", n, from.Addr, to.Addr, strings.Join(what, " ")), err
	})
	return nil
}

// packets is the counter of a rule.
func packets(p *cluster.Place, mark string) (n int64, err error) {
	out, err := p.Output("iptables", "-w", "-nvxL", "INPUT")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(out) {
		if strings.Contains(line, "/* "+mark+" */") {
			_, err := fmt.Sscan(line, &n)
			return n, err
		}
	}
	return 0, fmt.Errorf("%s has no rule %s", p, mark)
}

// link is one direction between two members.
type link struct{ from, to *cluster.Member }

// both are the two directions between members.
func both(a, b *cluster.Member) []link { return []link{{a, b}, {b, a}} }

// cut makes all that goes over these links disappear: no reset, no refusal, and
// connections stay as they are. Failed probes show it, too.
func (w *Wound) cut(links ...link) error {
	rules := len(w.prove)
	for _, l := range links {
		if err := w.rule(l.from.Place, l.to.Place, "-j", "DROP"); err != nil {
			return err
		}
	}
	w.prove = append(w.prove[:rules:rules], anyOf(w.prove[rules:]))
	reached := make([]bool, len(links))
	var wg sync.WaitGroup
	for i, l := range links {
		wg.Go(func() { reached[i] = cluster.Reaches(l.from.Place, l.to.Place, 150*time.Millisecond) })
	}
	wg.Wait()
	for i, l := range links {
		if reached[i] {
			return fmt.Errorf("%s still reaches %s", l.from.Name(), l.to.Name())
		}
		w.shown("%s does not reach %s", l.from.Name(), l.to.Name())
	}
	return nil
}
