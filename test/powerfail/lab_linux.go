package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	kvd "kvd/client"
	"kvd/test/daemon"
)

// readyWithin is how long a member may take to be ready. On a machine at rest it is
// well below a second.
const readyWithin = 60 * time.Second

// lab is one cluster on disks of its own.
type lab struct {
	job     job
	dir     string
	rng     *rand.Rand
	heavy   bool // large values too
	disks   []*disk
	members []*daemon.Member
	hist    *history
	client  *kvd.Client
	tally   *tally
}

// openLab makes the disks of a job and prepares its members. Nothing is started.
func openLab(cfg *config, j job, dir string, t *tally) (*lab, error) {
	l := &lab{job: j, dir: dir, rng: rand.New(rand.NewPCG(j.seed, 0)), hist: newHistory(), tally: t}
	l.heavy = l.rng.IntN(3) == 0 || cfg.heavy
	var dirs, endpoints []string
	for i := range j.form.members() {
		d, err := openDisk(j.fs, filepath.Join(dir, fmt.Sprint(i+1)))
		if err != nil {
			return nil, errors.Join(err, l.Close())
		}
		l.disks = append(l.disks, d)
		dirs = append(dirs, filepath.Join(d.mount, "data"))
	}
	// Snapshots come often: what they release of the log must not be missed.
	args := []string{"--snapshot-entries", fmt.Sprint(10 + l.rng.IntN(150)), "--history-bytes", "1MiB", "--disk-reserve-bytes", "0"}
	if j.form == formOne {
		args = append(args, "--tick", "5ms", "--election-ticks", "3")
	} else {
		args = append(args, "--tick", "20ms", "--election-ticks", "8")
	}
	var err error
	if l.members, err = daemon.NewCluster(cfg.kvd, dir, dirs, args...); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	for _, m := range l.members {
		endpoints = append(endpoints, m.ClientURL)
	}
	if l.client, err = kvd.New(kvd.Config{Endpoints: endpoints, Timeout: 10 * time.Second, AttemptTimeout: time.Second}); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// Close ends the members and takes the disks away.
func (l *lab) Close() error {
	var errs []error
	for _, m := range l.members {
		m.Kill()
	}
	for _, d := range l.disks {
		errs = append(errs, d.Close())
	}
	if l.client != nil {
		l.client.Close()
	}
	return errors.Join(append(errs, os.RemoveAll(l.dir))...)
}

// run founds the cluster and lets it lose power as often as the job says.
func (l *lab) run(ctx context.Context) error {
	fall := l.fallen(l.rng.IntN(len(l.members)))
	if err := l.start(ctx, fall, l.others(fall)); err != nil {
		return err
	}
	for range l.job.cycles {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := l.cycle(ctx); err != nil {
			return err
		}
	}
	return nil
}

// fallen are the members that lose power, by their places, of which i is one.
func (l *lab) fallen(i int) []int {
	if l.job.form != formAll {
		return []int{i}
	}
	return []int{0, 1, 2}
}

func (l *lab) others(of []int) (out []int) {
	for i := range l.members {
		if !slices.Contains(of, i) {
			out = append(out, i)
		}
	}
	return out
}

// cycle is one power failure under load, and the look at what is left.
func (l *lab) cycle(ctx context.Context) error {
	frozen, fall, killed, err := l.choose(ctx)
	if err != nil {
		return err
	}
	var endpoints []string
	for i, m := range l.members {
		if i != frozen {
			endpoints = append(endpoints, m.ClientURL)
		}
	}
	if frozen >= 0 {
		l.members[frozen].Signal(syscall.SIGSTOP)
	}
	load, err := startLoad(l.hist, endpoints, l.heavy, l.rng)
	if err != nil {
		return err
	}
	wait(ctx, time.Duration(l.rng.IntN(150))*time.Millisecond)
	load.waitFor(ctx, enough+l.rng.IntN(20*enough))
	cut, err := l.cut(fall)
	for _, i := range killed {
		l.members[i].Kill()
	}
	load.stop()
	if err != nil {
		return err
	}
	if err := l.look(); err != nil {
		return err
	}
	if frozen >= 0 {
		l.members[frozen].Signal(syscall.SIGCONT)
	}
	var alive []int
	if frozen >= 0 {
		alive = []int{frozen}
	}
	if err := l.start(ctx, fall, alive); err != nil {
		return err
	}
	c, err := l.compareAll(ctx, append(alive, fall...), cut)
	if err != nil {
		return err
	}
	l.hist.settle(c)
	l.tally.cycle(c)
	// Who was only killed comes back with all it had, and must agree.
	for _, i := range killed {
		if slices.Contains(fall, i) {
			continue
		}
		if err := l.members[i].StartReady(ctx, readyWithin); err != nil {
			return l.notReady(ctx, err)
		}
		if _, err := l.compareAll(ctx, []int{i}, cut); err != nil {
			return err
		}
	}
	return nil
}

// choose says who is frozen (-1: nobody), who loses power, and who is killed: those
// and, of three members, the one that could answer for them.
func (l *lab) choose(ctx context.Context) (frozen int, fall, killed []int, err error) {
	if l.job.form != formThird {
		fall = l.fallen(0)
		return -1, fall, fall, nil
	}
	leader, err := l.client.Leader(ctx)
	if err != nil {
		return 0, nil, nil, fmt.Errorf("no leader: %w", err)
	}
	// The frozen one is a follower, or nothing would be written before an election.
	frozen = (int(leader.ID) - 1 + 1 + l.rng.IntN(2)) % 3
	up := l.others([]int{frozen})
	return frozen, l.fallen(up[l.rng.IntN(2)]), up, nil
}

// cut cuts the power of all disks in fall at once, kills their members, and returns
// the moment before. What is acknowledged later proves nothing.
func (l *lab) cut(fall []int) (time.Time, error) {
	errs := make([]error, len(fall))
	for n, i := range fall {
		errs[n] = l.disks[i].plant(l.rng)
	}
	if err := errors.Join(errs...); err != nil {
		return time.Time{}, err
	}
	var wg sync.WaitGroup
	at := time.Now()
	for n, i := range fall {
		wg.Go(func() { errs[n] = l.disks[i].cut() })
	}
	wg.Wait()
	for _, i := range fall {
		l.members[i].Kill()
		l.tally.cuts.Add(1)
	}
	for _, i := range fall {
		errs = append(errs, l.disks[i].remount())
	}
	return at, errors.Join(errs...)
}

// look finds out what became of the files that were not synced.
func (l *lab) look() error {
	for _, d := range l.disks {
		if d.canary == nil {
			continue
		}
		gone, err := d.dropped()
		if err != nil {
			return err
		}
		if d.canary = nil; gone {
			l.tally.dropped.Add(1)
		}
	}
	return nil
}

// start starts the members that have lost power, beside others that run or are
// started too, and waits until all are ready. One time in eight the power fails
// once more while they start.
func (l *lab) start(ctx context.Context, fall, others []int) error {
	starting := append([]int(nil), fall...)
	for _, i := range others {
		if !l.members[i].Running() {
			starting = append(starting, i)
		}
	}
	began := time.Now()
	if err := l.startAll(starting); err != nil {
		return err
	}
	for l.rng.IntN(8) == 0 {
		wait(ctx, time.Duration(l.rng.IntN(80))*time.Millisecond)
		if _, err := l.cut(fall); err != nil {
			return err
		}
		if err := l.look(); err != nil {
			return err
		}
		l.tally.early.Add(1)
		began = time.Now()
		if err := l.startAll(fall); err != nil {
			return err
		}
	}
	for _, i := range append(starting, others...) {
		if err := l.members[i].WaitReady(ctx, readyWithin); err != nil {
			return l.notReady(ctx, err)
		}
	}
	l.tally.started(time.Since(began))
	return nil
}

func (l *lab) startAll(which []int) error {
	for _, i := range which {
		if err := l.members[i].Start(); err != nil {
			return err
		}
		l.tally.starts.Add(1)
	}
	return nil
}

// notReady tells what a member that does not start means.
func (l *lab) notReady(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return &violation{fmt.Sprintf("a member does not start: %v", err)}
}

// compareAll compares what each of the members shows, and returns the first
// comparison. All must be without fault.
func (l *lab) compareAll(ctx context.Context, through []int, cut time.Time) (*comparison, error) {
	var first *comparison
	for _, i := range through {
		c, err := compare(ctx, l.hist, l.members[i].ClientURL, cut)
		if err != nil {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			return nil, &violation{fmt.Sprintf("%s does not serve: %v", l.members[i].Name(), err)}
		}
		if len(c.faults) > 0 {
			l.tally.cycle(c)
			text := fmt.Sprintf("through %s: %d of %d acknowledged writes are lost", l.members[i].Name(), c.lost, c.acks)
			for _, f := range c.faults {
				text += "\n  " + f
			}
			return nil, &violation{text}
		}
		if first == nil {
			first = c
		}
	}
	return first, nil
}

// wait lets time pass: the moment of a power failure is no event.
func wait(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
