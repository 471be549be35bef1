package fault

import (
	"fmt"
	"strings"
	"time"

	"kvd/test/chaos/cluster"
)

func isolateLeader(w *Wound) error {
	l, err := w.leader()
	if err != nil {
		return err
	}
	return w.isolate(l)
}

func isolateMember(w *Wound) error {
	ms, err := w.pick(1)
	if err != nil {
		return err
	}
	return w.isolate(ms...)
}

func isolateMinority(w *Wound) error {
	ms, err := w.pick(w.minority())
	if err != nil {
		return err
	}
	return w.isolate(ms...)
}

// isolate cuts members off from all others; among each other they see
// themselves.
func (w *Wound) isolate(ms ...*cluster.Member) error {
	w.struck(ms...)
	var links []link
	for _, m := range ms {
		for _, o := range w.others(ms...) {
			links = append(links, both(m, o)...)
		}
	}
	return w.cut(links...)
}

// oneWayCut silences one member for another, or for all of them.
func oneWayCut(w *Wound) error {
	m, err := w.one()
	if err != nil {
		return err
	}
	w.struck(m)
	others := w.others(m)
	w.rng.Shuffle(len(others), func(i, j int) { others[i], others[j] = others[j], others[i] })
	if w.rng.IntN(2) == 0 {
		others = others[:1]
	}
	deaf := w.rng.IntN(2) == 0
	w.detail("%d ways", len(others))
	var links []link
	for _, o := range others {
		if deaf {
			links = append(links, link{o, m})
		} else {
			links = append(links, link{m, o})
		}
	}
	return w.cut(links...)
}

// partialCut parts two members that both see all others.
func partialCut(w *Wound) error {
	a, err := w.one()
	if err != nil {
		return err
	}
	others := w.others(a)
	b := others[w.rng.IntN(len(others))]
	w.struck(a)
	w.Members = append(w.Members, b.Name())
	if err := w.cut(both(a, b)...); err != nil {
		return err
	}
	for _, c := range w.others(a, b) {
		if c.Up() && w.alone && (!cluster.Reaches(a.Place, c.Place, time.Second) || !cluster.Reaches(c.Place, b.Place, time.Second)) {
			return fmt.Errorf("%s is cut off, too", c.Name())
		}
	}
	return nil
}

// loss drops three packets of ten to and from a member.
func loss(w *Wound) error {
	return w.trouble("-m", "statistic", "--mode", "random", "--probability", "0.3", "-j", "DROP")
}

// resets answers every packet between a member and the others with a reset.
func resets(w *Wound) error {
	w.hold = w.between(500*time.Millisecond, 3*time.Second)
	return w.trouble("-p", "tcp", "-j", "REJECT", "--reject-with", "tcp-reset")
}

// trouble does the same to what a member sends and gets.
func (w *Wound) trouble(what ...string) error {
	m, err := w.one()
	if err != nil {
		return err
	}
	w.struck(m)
	rules := len(w.prove)
	for _, o := range w.others(m) {
		if err := w.rule(m.Place, o.Place, what...); err != nil {
			return err
		}
		if err := w.rule(o.Place, m.Place, what...); err != nil {
			return err
		}
	}
	// Followers have nothing to say to each other: one rule that was met is enough.
	w.prove = append(w.prove[:rules:rules], anyOf(w.prove[rules:]))
	return nil
}

// anyOf is shown when one of several proofs is.
func anyOf(proofs []func() (string, error)) func() (string, error) {
	return func() (string, error) {
		var found []string
		var last error
		for _, prove := range proofs {
			proof, err := prove()
			if err != nil {
				last = err
				continue
			}
			found = append(found, proof)
		}
		if len(found) == 0 {
			return "", last
		}
		return strings.Join(found, "; "), nil
	}
}

// slowLink lets a member send only so many bytes a second.
func slowLink(w *Wound) error {
	m, err := w.one()
	if err != nil {
		return err
	}
	w.struck(m)
	kbit := 64 << w.rng.IntN(4)
	w.detail("%d kbit/s", kbit)
	if err := m.Place.Run("tc", "qdisc", "add", "dev", "eth0", "root", "tbf", "rate", fmt.Sprintf("%dkbit", kbit), "burst", "8kb", "latency", "400ms"); err != nil {
		return err
	}
	w.undo = append(w.undo, func() error { return m.Place.Run("tc", "qdisc", "del", "dev", "eth0", "root") })
	w.prove = append(w.prove, func() (string, error) {
		out, err := m.Place.Output("tc", "-s", "qdisc", "show", "dev", "eth0")
		if err != nil {
			return "", err
		}
		_, after, _ := strings.Cut(out, "overlimits ")
		var n int64
		if _, err := fmt.Sscan(after, &n); err != nil || n == 0 {
			return "", fmt.Errorf("the limit of %s was never met: %s", m.Name(), out)
		}
		return fmt.Sprintf("%s met its limit %d times", m.Name(), n), nil
	})
	return nil
}
