package fault

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"kvd/test/chaos/cluster"
)

// tamper attaches strace to a member and lets it change what fsync does. It
// returns how often that happened so far, and undoes itself.
func (w *Wound) tamper(m *cluster.Member, how, mark string) (count func() (int, error), err error) {
	dir, err := os.MkdirTemp(w.c.Dir(), "strace")
	if err != nil {
		return nil, err
	}
	trace, says := filepath.Join(dir, "trace"), filepath.Join(dir, "says")
	p, err := cluster.StartProcess("strace", says, "strace", "-f", "-p", strconv.Itoa(m.Process().PID()), "-o", trace,
		"-e", "trace=fsync,fdatasync", "-e", "inject=fsync,fdatasync:"+how)
	if err != nil {
		return nil, err
	}
	w.undo = append(w.undo, func() error {
		p.Signal(syscall.SIGTERM) // it detaches
		if _, _, err := p.Exit(w.ctx, 10*time.Second); err != nil {
			p.Signal(syscall.SIGKILL)
			return err
		}
		return os.RemoveAll(dir)
	})
	count = func() (int, error) {
		b, err := os.ReadFile(trace)
		if errors.Is(err, os.ErrNotExist) {
			err = nil
		}
		return strings.Count(string(b), mark), err
	}
	return count, cluster.Poll(w.ctx, 10*time.Second, func() error {
		b, err := os.ReadFile(says)
		if err == nil && !strings.Contains(string(b), "attached") {
			err = fmt.Errorf("strace has not attached: %s", b)
		}
		return err
	})
}

// slowDisk lets every fsync of a member take longer.
func slowDisk(w *Wound) error {
	m, err := w.one()
	if err != nil {
		return err
	}
	w.struck(m)
	late := w.between(20*time.Millisecond, 400*time.Millisecond)
	if w.rng.IntN(4) == 0 { // longer than an election
		late = w.between(time.Second, 3*time.Second)
	}
	w.detail("%v more", late.Round(time.Millisecond))
	w.hold = max(w.hold, 2*late)
	count, err := w.tamper(m, fmt.Sprintf("delay_enter=%d", late.Microseconds()), "(DELAYED)")
	w.prove = append(w.prove, func() (string, error) {
		n, err := count()
		if err == nil && n == 0 {
			err = fmt.Errorf("%s did not sync while its disk was slow", m.Name())
		}
		return fmt.Sprintf("%d syncs of %s took %v more", n, m.Name(), late.Round(time.Millisecond)), err
	})
	return err
}

// failingDisk lets fsync fail. The member must end with exit code 1: nobody
// knows any more what is on its disk.
func failingDisk(w *Wound) error {
	m, err := w.one()
	if err != nil {
		return err
	}
	w.struck(m)
	w.hold = min(w.hold, 2*time.Second)
	w.undo = append(w.undo, m.Start)
	count, err := w.tamper(m, "error=EIO", "(INJECTED)")
	if err != nil {
		return err
	}
	p := m.Process()
	if err := cluster.Poll(w.ctx, 10*time.Second, func() error {
		n, err := count()
		if err == nil && n == 0 {
			err = fmt.Errorf("%s has not synced", m.Name())
		}
		return err
	}); err != nil {
		return err
	}
	failed := time.Now()
	code, signal, err := p.Exit(w.ctx, 10*time.Second)
	took := time.Since(failed).Round(time.Millisecond)
	if err != nil || code != 1 {
		w.broken("a failed fsync of %s: exit code %d (%v, %v), want 1", m.Name(), code, signal, err)
		p.Signal(syscall.SIGKILL)
		return fmt.Errorf("%s: exit code %d, %w", m.Name(), code, err)
	}
	// The second that is promised, and what strace and a machine under load add.
	if took > 3*time.Second {
		w.broken("%s ended %v after fsync had failed", m.Name(), took)
	}
	n, err := count()
	w.shown("%d syncs of %s failed with EIO, it ended with code 1 after %v", n, m.Name(), took)
	return err
}

// fullDisk takes the room of a member's disk: below the reserve, where the
// cluster refuses what needs room, or all of it.
func fullDisk(w *Wound) error {
	ms, err := w.pick(1)
	if err != nil {
		return err
	}
	m := ms[0]
	w.struck(m)
	left := int64(cluster.Reserve) - 16<<20
	if w.rng.IntN(2) == 0 {
		left = 0
	}
	var files []string
	w.undo = append(w.undo, func() error {
		var err error
		for _, f := range files {
			err = errors.Join(err, os.Remove(f))
		}
		return errors.Join(err, m.Start()) // if it has ended
	})
	free, err := take(m.Place, left, &files)
	if err != nil {
		return err
	}
	if free >= cluster.Reserve {
		return fmt.Errorf("%d MiB of %s are still free", free>>20, m.Place.Disk)
	}
	w.detail("%d MiB left", free>>20)
	w.hold = max(w.hold, 2*time.Second)
	w.prove = append(w.prove, func() (string, error) {
		// The disk is looked at every second or so.
		r, err := w.c.Ask(w.ctx, 5*time.Second, "PUT", "/v1/kv/disk-probe?timeout=500ms", "x", 507)
		if err != nil && !w.alone {
			return fmt.Sprintf("%d bytes left at %s", free, m.Place.Disk), nil // nobody may hear of it
		}
		if err != nil {
			return "", err
		}
		return fmt.Sprintf("%d bytes left at %s, a put is answered with %d", free, m.Place.Disk, r.Status), nil
	})
	return nil
}

// take fills a disk until only so much is left, and returns what is. The last
// few blocks, which the file system keeps for itself, are not to be had.
func take(p *cluster.Place, left int64, files *[]string) (free int64, err error) {
	for size := int64(64 << 20); ; {
		if free, err = p.Free(); err != nil || free <= left || size < 64<<10 {
			return free, err
		}
		file, err := p.Fill(min(size, free-left))
		if file != "" {
			*files = append(*files, file)
		}
		if errors.Is(err, syscall.ENOSPC) {
			size /= 2 // all or nothing, on xfs
		} else if err != nil {
			return free, err
		}
	}
}
