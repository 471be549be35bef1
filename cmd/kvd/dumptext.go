package main

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"kvd/internal/kvstore"
)

// shownBytes is how much of a key or value the text form shows.
const shownBytes = 64

// textDump prints a dump for people.
type textDump struct{ w *bufio.Writer }

func newTextDump(w io.Writer) *textDump { return &textDump{bufio.NewWriter(w)} }

// The writer keeps its first error, and end returns it.

func (d *textDump) header(h *dumpHeader) error {
	out := newOutline(d.w)
	out.line("directory", "%s", h.DataDir)
	out.line("cluster", "%s", h.Cluster)
	out.line("member", "%d (%s)", h.Member, h.Name)
	if h.Removed != "" {
		out.line("removed", "%s", h.Removed)
	}
	out.line("term", "%d", h.Term)
	committed := fmt.Sprintf("committed up to index %d", h.Commit)
	if behind := h.Last - h.Commit; h.Last > h.Commit {
		committed += fmt.Sprintf("; %d behind it may be or not, and are left out", behind)
	}
	out.line("log", "%s", committed)
	if h.SnapshotIndex == 0 {
		out.line("snapshot", "none: the log begins with the first entry")
	} else {
		out.line("snapshot", "index %d, term %d, clock %s, revision %d, history back to %d",
			h.SnapshotIndex, h.SnapshotTerm, h.LogClock, h.Revision, h.Compacted)
	}
	out.members(h.Members, nil)
	return out.flush()
}

func (d *textDump) state(*kvstore.Machine) error { return nil }

func (d *textDump) entry(e *dumpEntry) error {
	fmt.Fprintf(d.w, "\n%d  term %d  clock %s  %s", e.Index, e.Term, e.LogClock, e.Kind)
	if e.Proposer != 0 {
		fmt.Fprintf(d.w, ", by member %d", e.Proposer)
	}
	switch {
	case e.Refused != "":
		fmt.Fprintf(d.w, ": %s, which was refused: %s", e.Change, e.Refused)
	case e.Change != "":
		fmt.Fprintf(d.w, ": %s", e.Change)
	case e.StateHash != "":
		fmt.Fprintf(d.w, ": the state's hash is %s", e.StateHash)
	case e.Detail != nil:
		fmt.Fprintf(d.w, ": %s", e.Detail)
	}
	for _, c := range e.Commands {
		fmt.Fprintf(d.w, "\n    %s → %s", c, c.Result)
		for _, v := range c.Changes {
			fmt.Fprintf(d.w, "\n        %s %s", v.Type, newShown(v.Key, v.KeyBase64))
		}
	}
	return nil
}

func (d *textDump) end(e *dumpEnd) error {
	fmt.Fprintf(d.w, "\n\n%d entries, to revision %d\n", e.Entries, e.Revision)
	return d.w.Flush()
}

// newShown is a key or value in quotes, and its length when it is cut.
func newShown(text *string, base64 []byte) string {
	b := base64
	if text != nil {
		b = []byte(*text)
	}
	if len(b) > shownBytes {
		return fmt.Sprintf("%q… (%d bytes)", b[:shownBytes], len(b))
	}
	return fmt.Sprintf("%q", b)
}

// String is a command on one line.
func (c *dumpCommand) String() string {
	var b strings.Builder
	b.WriteString(c.Command)
	switch {
	case c.Txn != nil:
		b.WriteString(" " + c.Txn.String())
	case c.Command == "delete_range":
		b.WriteString(" " + spanText(c.Key, c.KeyBase64, c.End, c.EndBase64))
	case c.Command == "compact":
		fmt.Fprintf(&b, " up to revision %d", c.UpTo)
	case c.Key != nil || c.KeyBase64 != nil:
		b.WriteString(" " + newShown(c.Key, c.KeyBase64))
	}
	if c.Value != nil || c.ValueBase64 != nil {
		b.WriteString(" = " + newShown(c.Value, c.ValueBase64))
	}
	add := func(format, value string) {
		if value != "" {
			fmt.Fprintf(&b, format, value)
		}
	}
	add(", type %s", c.ContentType)
	add(", ttl %s", c.TTL)
	add(", lease %s", c.Lease)
	if c.If == "revision" {
		fmt.Fprintf(&b, ", if at revision %d", c.IfRevision)
	} else {
		add(", if %s", c.If)
	}
	add(", idempotency key %s", c.IdempotencyKey)
	return b.String()
}

func spanText(key *string, keyBase64 []byte, end *string, endBase64 []byte) string {
	if end == nil && endBase64 == nil {
		return "from " + newShown(key, keyBase64) + " to the last"
	}
	return "from " + newShown(key, keyBase64) + " to before " + newShown(end, endBase64)
}

// String is a transaction on one line.
func (t *dumpTxn) String() string {
	var ifs []string
	for _, c := range t.If {
		right := fmt.Sprint(c.Number)
		switch {
		case c.Lease != "":
			right = c.Lease
		case c.Value != nil || c.ValueBase64 != nil:
			right = newShown(c.Value, c.ValueBase64)
		}
		ifs = append(ifs, fmt.Sprintf("%s of %s %s %s", c.Target, newShown(c.Key, c.KeyBase64), c.Op, right))
	}
	return fmt.Sprintf("if [%s] then [%s] else [%s]", strings.Join(ifs, "; "), opsText(t.Then), opsText(t.Else))
}

func opsText(ops []dumpOp) string {
	var texts []string
	for _, op := range ops {
		text := op.Op + " "
		if op.Op == "delete_range" || op.Op == "range" {
			text += spanText(op.Key, op.KeyBase64, op.End, op.EndBase64)
		} else {
			text += newShown(op.Key, op.KeyBase64)
		}
		if op.Op == "put" {
			text += " = " + newShown(op.Value, op.ValueBase64)
		}
		if op.TTL != "" {
			text += ", ttl " + op.TTL
		}
		if op.Lease != "" {
			text += ", lease " + op.Lease
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, "; ")
}

// String is a result on one line.
func (r *dumpResult) String() string {
	s := r.Code
	if r.Succeeded != nil {
		s += map[bool]string{true: " (then)", false: " (else)"}[*r.Succeeded]
	}
	if r.Deleted > 0 {
		s += fmt.Sprintf(", %d keys", r.Deleted)
	}
	if r.Lease != "" {
		s += ", lease " + r.Lease
	}
	s += fmt.Sprintf(", revision %d", r.Revision)
	if r.Replayed {
		s += ", as the first time"
	}
	return s
}
