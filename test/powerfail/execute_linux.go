package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// tmpfsBytes bounds the images of all clusters at a time. They are sparse: a cluster
// of three takes some hundred MB.
const tmpfsBytes = 8 << 30

// mostViolations is when a run is given up.
const mostViolations = 5

// execute runs all jobs, some at a time, and reports.
func execute(ctx context.Context, cfg config, progress io.Writer) (r *report, err error) {
	work, err := os.MkdirTemp("", "powerfail-")
	if err != nil {
		return nil, err
	}
	defer os.Remove(work)
	if err := syscall.Mount("powerfail", work, "tmpfs", 0, fmt.Sprintf("size=%d,mode=700", tmpfsBytes)); err != nil {
		return nil, fmt.Errorf("mount a tmpfs on %s: %w", work, err)
	}
	defer func() { err = errors.Join(err, syscall.Unmount(work, syscall.MNT_DETACH)) }()

	fmt.Fprintf(progress, "powerfail: seed %d, %d cycles on each of %v\n", cfg.seed, cfg.cycles, cfg.fs)
	jobs := cfg.jobs()
	r = newReport(cfg)
	queue := make(chan int)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	var mu sync.Mutex // guards r
	for range min(cfg.parallel, len(jobs)) {
		wg.Go(func() {
			for i := range queue {
				t := &tally{}
				err := runJob(ctx, &cfg, jobs[i], filepath.Join(work, fmt.Sprint(i)), t)
				mu.Lock()
				r.add(jobs[i], t)
				if v, ok := errors.AsType[*violation](err); ok {
					r.violate(jobs[i], v)
					fmt.Fprintf(progress, "%s %s, seed %d: %s\n", jobs[i].fs, jobs[i].form, jobs[i].seed, v.text)
					if len(r.Violations) >= mostViolations {
						cancel(errors.New("too many violations"))
					}
				} else if err != nil {
					cancel(fmt.Errorf("%s %s, seed %d: %w", jobs[i].fs, jobs[i].form, jobs[i].seed, err))
				}
				fmt.Fprintf(progress, "%s %d cycles, %d acknowledgements compared, %d lost\n", time.Now().Format(time.TimeOnly), r.Cycles, r.Acks, r.Lost)
				mu.Unlock()
			}
		})
	}
	for i := range jobs {
		if ctx.Err() != nil {
			break
		}
		queue <- i
	}
	close(queue)
	wg.Wait()
	if err := context.Cause(ctx); err != nil && len(r.Violations) == 0 {
		return nil, err
	}
	r.finish()
	return r, nil
}

// runJob runs one cluster, and keeps what it leaves when it has lost something.
func runJob(ctx context.Context, cfg *config, j job, dir string, t *tally) (err error) {
	l, err := openLab(cfg, j, dir, t)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	err = l.run(ctx)
	if _, ok := errors.AsType[*violation](err); ok && cfg.keep != "" {
		err = errors.Join(err, l.save(filepath.Join(cfg.keep, fmt.Sprintf("%s-%s-%d", j.fs, j.form, j.seed))))
	}
	return err
}

// save copies the data directories and logs of the members, as they are, to dir.
func (l *lab) save(dir string) error {
	for i, m := range l.members {
		m.Kill()
		to := filepath.Join(dir, fmt.Sprint(i+1))
		if err := os.MkdirAll(to, 0o755); err != nil {
			return err
		}
		log, err := os.ReadFile(m.Log)
		if err != nil {
			return err
		}
		if err := errors.Join(os.WriteFile(to+".log", log, 0o600), os.CopyFS(to, os.DirFS(l.disks[i].mount))); err != nil {
			return err
		}
	}
	return nil
}
