package raftnode

import (
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// effects are what system calls do to the first path in them; "copy": to the last.
// Which of them there are depends on the machine.
var effects = map[string]string{
	"openat": "name", "mkdirat": "name", "renameat": "rename", "renameat2": "rename", "unlinkat": "gone",
	"write": "data", "pwrite64": "data", "ftruncate": "data", "fallocate": "data", "copy_file_range": "copy",
	"ftruncate64": "data", "sendfile": "data", "sendfile64": "data", "splice": "copy",
	"fsync": "sync", "fdatasync": "sync", "newfstatat": "mark", "fstatat64": "mark",
}

// call is one system call that has succeeded, or a mark of the scene.
type call struct{ what, path, to string }

var (
	tracedLine = regexp.MustCompile(`^(\d+) +(?:<\.\.\. \w+ resumed>)?(.*?)( <unfinished \.\.\.>)?$`)
	tracedCall = regexp.MustCompile(`^(\w+)\((.*)\) += (-?\d+)`)
	tracedPath = regexp.MustCompile(`["<](/[^">]*)[">]`)
	// Nobody minds if the lock is lost, or a segment that the log has not begun yet.
	needless = regexp.MustCompile(`(^|/)(lock|\d+\.tmp)$`)
)

// readTrace reads what strace has written, and returns what was done below root.
func readTrace(root, trace string) (out []call) {
	begun := make(map[string]string) // by thread: a call during which others were made
	for line := range strings.Lines(trace) {
		m := tracedLine.FindStringSubmatch(strings.TrimSpace(line))
		if m == nil {
			continue
		}
		begun[m[1]] += m[2]
		if m[3] != "" {
			continue
		}
		text := begun[m[1]]
		delete(begun, m[1])
		c := tracedCall.FindStringSubmatch(text)
		if c == nil {
			continue // a signal
		}
		var found []string
		for _, p := range tracedPath.FindAllStringSubmatch(c[2], -1) {
			if path, err := filepath.Rel(root, p[1]); err == nil && filepath.IsLocal(path) {
				found = append(found, path)
			} else if mark, ok := strings.CutPrefix(p[1], scenery); ok {
				out = append(out, call{"mark", mark, ""})
			}
		}
		if len(found) == 0 || c[3][0] == '-' || effects[c[1]] == "mark" || c[1] == "openat" && !strings.Contains(c[2], "O_CREAT") {
			continue
		}
		if strings.HasPrefix(c[1], "pwrite") && filepath.Base(filepath.Dir(found[0])) == "wal" {
			continue // zeros where the log will grow, whenever they come: they promise nothing
		}
		last := found[len(found)-1]
		if effects[c[1]] == "copy" {
			out = append(out, call{"data", last, last})
			continue
		}
		out = append(out, call{effects[c[1]], found[0], last})
	}
	return out
}

// loss is what a power failure takes: the data of a file, or the name of a file or
// directory.
type loss struct{ what, path string }

// lostAfter returns what a power failure would take after a mark, right before the
// first call of the kind next: "log" is a write to the log. false: there is none
// before the next mark.
func lostAfter(calls []call, mark, next string) ([]loss, bool) {
	var d strictDisk
	reached := false
	for _, c := range calls {
		kind := c.what
		if kind == "data" && filepath.Base(filepath.Dir(c.path)) == "wal" {
			kind = "log"
		}
		switch {
		case reached && (next == "" || kind == next):
			return d.lost(), true
		case reached && kind == "mark":
			return nil, false
		}
		reached = reached || kind == "mark" && c.path == mark
		d.do(c)
	}
	return d.lost(), reached && next == ""
}

// strictDisk knows what was not synced.
type strictDisk struct {
	unsynced map[loss]bool
	names    map[string]bool // that there are
}

func (d *strictDisk) do(c call) {
	if d.names == nil {
		d.unsynced, d.names = make(map[loss]bool), make(map[string]bool)
	}
	switch c.what {
	case "data":
		d.unsynced[loss{"data", c.path}] = true
	case "name":
		if !d.names[c.path] {
			d.names[c.path] = true
			d.unsynced[loss{"name", c.path}] = true
		}
	case "gone":
		d.move(c.path, "")
	case "rename":
		d.move(c.to, "")
		d.move(c.path, c.to)
		d.unsynced[loss{"name", c.to}] = true
	case "sync":
		delete(d.unsynced, loss{"data", c.path})
		maps.DeleteFunc(d.unsynced, func(l loss, _ bool) bool { return l.what == "name" && filepath.Dir(l.path) == c.path })
	}
}

// move gives a file another path, or none, and all that is in it if it is a directory.
func (d *strictDisk) move(from, to string) {
	moved := func(path string) (string, bool) {
		rest, ok := strings.CutPrefix(path, from)
		return to + rest, ok && (rest == "" || rest[0] == '/')
	}
	for l := range maps.Clone(d.unsynced) {
		if path, ok := moved(l.path); ok {
			delete(d.unsynced, l)
			if to != "" {
				d.unsynced[loss{l.what, path}] = true
			}
		}
	}
	for name := range maps.Clone(d.names) {
		if path, ok := moved(name); ok {
			delete(d.names, name)
			if to != "" {
				d.names[path] = true
			}
		}
	}
}

func (d *strictDisk) lost() (out []loss) {
	for l := range d.unsynced {
		if !needless.MatchString(l.path) {
			out = append(out, l)
		}
	}
	slices.SortFunc(out, func(a, b loss) int { return strings.Compare(a.path+a.what, b.path+b.what) })
	return out
}
