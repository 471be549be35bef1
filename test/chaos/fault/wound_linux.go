package fault

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"kvd/test/chaos/cluster"
)

// Wound is one fault: what it hit, what shows it, and how it is undone.
type Wound struct {
	Kind    string
	Detail  string
	Members []string // that were hit, by name
	Began   time.Time
	Healed  time.Time
	Proof   []string // that it happened
	Unshown []string // evidence that was looked for and not found
	Broken  []string // promises of the members themselves that did not hold
	Changes int      // of the membership

	ctx    context.Context
	c      *cluster.Cluster
	rng    *rand.Rand
	hold   time.Duration
	avoid  []*cluster.Member // hit by the other fault of the moment
	alone  bool              // there is no other
	hit    []*cluster.Member
	prove  []func() (string, error) // before the healing
	undo   []func() error           // in reverse
	finish []func() error           // when all faults of the moment are undone
}

// Shown tells whether there is evidence, and none is missing.
func (w *Wound) Shown() bool { return len(w.Proof) > 0 && len(w.Unshown) == 0 }

func (w *Wound) String() string {
	s := w.Kind
	if w.Detail != "" {
		s += " (" + w.Detail + ")"
	}
	if len(w.Members) > 0 {
		s += " of " + strings.Join(w.Members, ", ")
	}
	return s
}

func (w *Wound) detail(format string, args ...any) { w.Detail = fmt.Sprintf(format, args...) }
func (w *Wound) shown(format string, args ...any) {
	w.Proof = append(w.Proof, fmt.Sprintf(format, args...))
}
func (w *Wound) broken(format string, args ...any) {
	w.Broken = append(w.Broken, fmt.Sprintf(format, args...))
}

// struck says that a member is hit: the other fault of the moment leaves it alone.
func (w *Wound) struck(ms ...*cluster.Member) {
	for _, m := range ms {
		w.hit = append(w.hit, m)
		w.Members = append(w.Members, m.Name())
	}
}

// free are the members that nothing has hit.
func (w *Wound) free() []*cluster.Member {
	return slices.DeleteFunc(w.c.Members(), func(m *cluster.Member) bool { return slices.Contains(w.avoid, m) || !m.Up() })
}

// leader is who leads, and has not been hit.
func (w *Wound) leader() (*cluster.Member, error) {
	var leader *cluster.Member
	err := cluster.Poll(w.ctx, 10*time.Second, func() (err error) {
		leader, err = w.c.Leader(w.ctx)
		return err
	})
	if err == nil && slices.Contains(w.avoid, leader) {
		err = errors.New("the leader has been hit already")
	}
	return leader, err
}

// pick draws n of the members that nothing has hit.
func (w *Wound) pick(n int) ([]*cluster.Member, error) {
	free := w.free()
	if len(free) < n {
		return nil, fmt.Errorf("only %d members are left to hit, want %d", len(free), n)
	}
	w.rng.Shuffle(len(free), func(i, j int) { free[i], free[j] = free[j], free[i] })
	return free[:n], nil
}

// one draws one of them: the leader a third of the time at least.
func (w *Wound) one() (*cluster.Member, error) {
	if w.rng.IntN(3) == 0 {
		// There may be none now, for the other fault of the moment.
		if l, err := w.c.Leader(w.ctx); err == nil && !slices.Contains(w.avoid, l) {
			return l, nil
		}
	}
	ms, err := w.pick(1)
	if err != nil {
		return nil, err
	}
	return ms[0], nil
}

// others are all members but these.
func (w *Wound) others(but ...*cluster.Member) []*cluster.Member {
	return slices.DeleteFunc(w.c.Members(), func(m *cluster.Member) bool { return slices.Contains(but, m) })
}

// minority is the largest number of members that the cluster can do without.
func (w *Wound) minority() int { return (len(w.c.Members()) - 1) / 2 }

// between draws a duration.
func (w *Wound) between(from, to time.Duration) time.Duration {
	return from + time.Duration(w.rng.Int64N(int64(to-from)))
}

// examine gathers the evidence that shows only when a fault has lasted.
func (w *Wound) examine() {
	for _, prove := range w.prove {
		if proof, err := prove(); err != nil {
			w.Unshown = append(w.Unshown, err.Error())
		} else if proof != "" {
			w.Proof = append(w.Proof, proof)
		}
	}
}

// heal undoes the fault, however far it came.
func (w *Wound) heal() error {
	var err error
	for _, undo := range slices.Backward(w.undo) {
		err = errors.Join(err, undo())
	}
	w.undo = nil
	return err
}

// end brings what was begun to its end.
func (w *Wound) end() error {
	var err error
	for _, finish := range w.finish {
		err = errors.Join(err, finish())
	}
	w.finish = nil
	return err
}
