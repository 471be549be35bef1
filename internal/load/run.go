package load

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Open makes the worker with this number, from 0. Workers are made one after the
// other, before any of them does anything.
type Open func(ctx context.Context, worker int) (Worker, error)

// Run drives a loop and returns what it has measured. The end of ctx ends it
// early, with what there is by then and the cause as the error. Operations that
// fail are counted and are no error of Run.
func Run(ctx context.Context, cfg Config, open Open) (*Result, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	l := &loop{cfg: cfg, began: -1}
	defer l.close()
	for i := range cfg.Workers {
		w, err := open(ctx, i)
		if err != nil {
			return nil, fmt.Errorf("load: open worker %d: %w", i, err)
		}
		l.workers = append(l.workers, w)
		l.recorders = append(l.recorders, &recorder{t: newTally(len(cfg.Classes))})
	}
	return l.run(ctx)
}

// loop is one Run.
type loop struct {
	cfg       Config
	workers   []Worker
	recorders []*recorder

	stop    atomic.Bool  // no operation begins any more
	tickets atomic.Int64 // operations that have begun

	// Of the goroutine that called Run.
	total *tally
	begin time.Time     // of the loop
	began time.Duration // when what counts began; negative: not yet
}

func (l *loop) run(ctx context.Context) (*Result, error) {
	// Workers see this context, and not only stop, so that one that hangs in an
	// operation ends too.
	working, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	l.begin = time.Now()
	for i := range l.workers {
		wg.Go(func() { l.work(working, l.workers[i], l.recorders[i]) })
	}
	idle := make(chan struct{})
	go func() {
		wg.Wait()
		close(idle)
	}()
	r := l.watch(ctx, idle)
	l.stop.Store(true)
	grace := time.NewTimer(defaultGrace)
	defer grace.Stop()
	select {
	case <-idle:
	case <-grace.C:
	case <-ctx.Done():
	}
	cancel()
	<-idle
	if ctx.Err() != nil {
		return r, fmt.Errorf("load: %w", context.Cause(ctx))
	}
	return r, nil
}

// work is what each worker does.
func (l *loop) work(ctx context.Context, w Worker, rec *recorder) {
	for !l.stop.Load() && ctx.Err() == nil {
		if l.cfg.Count > 0 && l.tickets.Add(1) > l.cfg.Count {
			return
		}
		begin := time.Now()
		class, err := w.Do(ctx)
		took := time.Since(begin)
		if errors.Is(err, ErrDone) {
			return
		}
		if err != nil && ctx.Err() != nil {
			return // it failed because the loop ends
		}
		rec.add(class, took, err)
		if err != nil && l.cfg.Pause > 0 {
			select {
			case <-time.After(l.cfg.Pause):
			case <-ctx.Done():
			}
		}
	}
}

// watch waits for what counts to begin and to end, and reports in between.
func (l *loop) watch(ctx context.Context, idle <-chan struct{}) *Result {
	warm := time.NewTimer(l.cfg.WarmUp)
	defer warm.Stop()
	var overc <-chan time.Time // nil until what counts has begun, and without a Duration
	tick := time.NewTicker(l.cfg.Every)
	defer tick.Stop()
	if l.cfg.WarmUp == 0 {
		l.start()
		overc = l.over()
		warm.Stop()
	}
	last := l.begin
	for {
		select {
		case <-warm.C:
			l.start()
			overc = l.over()
			last = time.Now()
			tick.Reset(l.cfg.Every) // so that the first report is of a whole time
		case <-tick.C:
			now := time.Now()
			l.report(now, now.Sub(last))
			last = now
		case <-overc:
			return l.finish()
		case <-idle:
			return l.finish()
		case <-ctx.Done():
			return l.finish()
		}
	}
}

// over returns the channel that tells when the measured time is over.
func (l *loop) over() <-chan time.Time {
	if l.cfg.Duration == 0 {
		return nil
	}
	return time.After(l.cfg.Duration)
}

// start begins what counts: what was done so far is forgotten.
func (l *loop) start() {
	l.collect()
	l.total = newTally(len(l.cfg.Classes))
	l.began = time.Since(l.begin)
	if l.cfg.Began != nil {
		l.cfg.Began()
	}
}

// collect empties the recorders.
func (l *loop) collect() *tally {
	t := newTally(len(l.cfg.Classes))
	for _, rec := range l.recorders {
		rec.moveTo(t)
	}
	return t
}

func (l *loop) report(now time.Time, elapsed time.Duration) {
	if l.cfg.Progress == nil {
		return
	}
	t := l.collect()
	at := now.Sub(l.begin) - l.cfg.WarmUp
	if l.began >= 0 {
		at = now.Sub(l.begin) - l.began
	}
	l.cfg.Progress(Progress{At: at, Elapsed: elapsed, Latency: t.all(), Failed: t.failed})
	if l.total != nil {
		t.moveTo(l.total)
	}
}

// finish ends what counts. If it never began, the result is empty.
func (l *loop) finish() *Result {
	r := &Result{Errors: map[string]int64{}}
	if l.total == nil {
		return r
	}
	r.Elapsed = time.Since(l.begin) - l.began
	if l.cfg.Ended != nil {
		l.cfg.Ended()
	}
	l.collect().moveTo(l.total)
	r.Latency = *l.total.all()
	for i, name := range l.cfg.Classes {
		r.Classes = append(r.Classes, Class{name, l.total.latency[i]})
	}
	r.Failed, r.Errors = l.total.failed, l.total.errors
	return r
}

func (l *loop) close() {
	for _, w := range l.workers {
		_ = w.Close() // what it measured is known
	}
}
