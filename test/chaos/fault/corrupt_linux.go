package fault

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"kvd/test/chaos/cluster"
)

// corrupt flips a bit in the log of members that are down: a minority. Each must
// refuse to start with exit code 3, and is replaced as its refusal says.
func corrupt(w *Wound) error {
	n := 1
	if w.minority() > 1 && w.alone && w.rng.IntN(3) == 0 {
		n = w.minority()
	}
	ms, err := w.pick(n)
	if err != nil {
		return err
	}
	for _, m := range ms {
		if err := w.spoil(m); err != nil {
			return err
		}
	}
	return nil
}

// spoil kills a member, flips a bit, and lets it refuse.
func (w *Wound) spoil(m *cluster.Member) error {
	w.struck(m)
	spoiled := false
	w.undo = append(w.undo, func() error {
		if spoiled {
			return nil // it is replaced, at the end
		}
		return m.Start()
	})
	if err := m.Kill(w.ctx); err != nil {
		return err
	}
	files, err := m.Files("*.wal")
	if err != nil || len(files) == 0 {
		return fmt.Errorf("%s has no log files: %w", m.Name(), err)
	}
	for _, file := range files[max(0, len(files)-2):] {
		if err := m.Part(file); err != nil {
			return err
		}
	}
	// The last may have just begun.
	file := files[len(files)-1]
	at, err := flipBit(file, w.rng)
	if err != nil && len(files) > 1 {
		file = files[len(files)-2]
		at, err = flipBit(file, w.rng)
	}
	if err != nil {
		return err
	}
	spoiled = true
	before, err := os.ReadFile(m.Log)
	if err != nil {
		return err
	}
	if err := m.Start(); err != nil {
		return err
	}
	code, signal, err := m.Process().Exit(w.ctx, 30*time.Second)
	if err != nil || code != 3 {
		w.broken("%s with a flipped bit at %d of %s: exit code %d (%v, %v), want 3", m.Name(), at, filepath.Base(file), code, signal, err)
		return fmt.Errorf("%s started with a damaged log: exit code %d, %w", m.Name(), code, err)
	}
	w.shown("%s refused a log with a flipped bit at %d of %s: exit code 3", m.Name(), at, filepath.Base(file))
	says, err := os.ReadFile(m.Log)
	if err != nil {
		return err
	}
	way, err := parseRemedy(string(says[len(before):]))
	if err != nil {
		w.broken("%s: %v", m.Name(), err)
		return err
	}
	w.finish = append(w.finish, func() error {
		err := w.remedy(m, way)
		if err != nil && w.ctx.Err() == nil {
			w.broken("%s could not be replaced as its refusal says: %v", m.Name(), err)
		}
		return err
	})
	return nil
}

// way is what a refusal tells one to type.
type way struct {
	path  string // of the DELETE
	dir   string
	flags []string // of kvd serve
}

var deleteLine = regexp.MustCompile(`curl (?:--?[\w-]+ )*-X ?DELETE '?https?://[^/\s]+(/[^\s,;'"]+)`)

// parseRemedy reads the commands out of a refusal, whose last line is the message.
func parseRemedy(out string) (way, error) {
	lines := strings.Split(strings.TrimSpace(out), "\n")
	message := lines[len(lines)-1]
	remove := deleteLine.FindStringSubmatch(message)
	_, serve, found := strings.Cut(message, "kvd serve ")
	if remove == nil || !found {
		return way{}, fmt.Errorf("the refusal names no commands to replace the member: %s", message)
	}
	w := way{path: remove[1]}
	words := strings.Fields(strings.ReplaceAll(serve, "'", ""))
	for i := 0; i < len(words); i++ {
		name, value, both := strings.Cut(words[i], "=")
		if !strings.HasPrefix(name, "--") {
			break // the sentence goes on
		}
		flag := []string{words[i]}
		if !both && i+1 < len(words) && !strings.HasPrefix(words[i+1], "--") {
			i++
			value = words[i]
			flag = append(flag, value)
		}
		if name == "--data-dir" {
			w.dir = value
		} else if name != "--listen-client" && name != "--listen-peer" && name != "--insecure" { // a member has these anyway
			w.flags = append(w.flags, flag...)
		}
	}
	if w.dir == "" || !slices.Contains(w.flags, "--join") {
		return way{}, fmt.Errorf("the refusal does not say how to start the new member: %s", message)
	}
	return w, nil
}

// remedy replaces a member as its refusal said.
func (w *Wound) remedy(m *cluster.Member, how way) error {
	if entries, err := os.ReadDir(how.dir); err == nil && len(entries) > 0 {
		w.broken("the directory that the refusal of %s names is not empty: %s", m.Name(), how.dir)
	}
	if _, err := w.c.Ask(w.ctx, 30*time.Second, http.MethodDelete, how.path, "", http.StatusNoContent, http.StatusNotFound); err != nil {
		return err
	}
	w.Changes++
	fresh := w.c.Refound(m, how.dir, w.reachable(how.flags))
	if err := errors.Join(w.c.Dismiss(w.ctx, m), fresh.Start()); err != nil {
		return err
	}
	if err := fresh.WaitReady(w.ctx, 30*time.Second); err != nil {
		return err
	}
	s, err := fresh.Status(w.ctx)
	if err != nil {
		return err
	}
	if s.ID == m.ID() {
		w.broken("the new member has the id %d of the damaged one", s.ID)
	}
	fresh.SetID(s.ID)
	w.c.Admit(fresh)
	w.Changes++
	w.shown("%s came in the place of %s", fresh.Name(), m.Name())
	return nil
}

// reachable names another member to join through, where the one that the refusal
// named is damaged, too: the refusing process cannot know that.
func (w *Wound) reachable(flags []string) []string {
	flags = slices.Clone(flags)
	i := slices.Index(flags, "--join")
	up := slices.DeleteFunc(w.c.Members(), func(m *cluster.Member) bool { return !m.Up() })
	named := func(m *cluster.Member) bool { return m.URL() == flags[i+1] }
	if len(up) > 0 && !slices.ContainsFunc(up, named) {
		flags[i+1] = up[0].URL()
	}
	return flags
}
