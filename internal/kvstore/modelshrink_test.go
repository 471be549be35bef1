package kvstore

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// shrink leaves out of a log what it can do without and still fails: entries first,
// in pieces that become smaller, then single commands. It gives up after some
// hundred thousand commands.
func shrink(log []modelEntry, fails func([]modelEntry) bool) []modelEntry {
	left := 500_000
	less := func(log []modelEntry) bool {
		for i := range log {
			left -= 1 + len(log[i].cmds)
		}
		return left > 0 && fails(log)
	}
	for size := len(log) / 2; size > 0; size /= 2 {
		for from := 0; from < len(log); {
			cut := append(log[:from:from], log[min(from+size, len(log)):]...)
			if less(cut) {
				log = cut
			} else {
				from += size
			}
		}
	}
	for i := range log {
		for j := 0; j < len(log[i].cmds); {
			cut := slices.Clone(log)
			cut[i].cmds = slices.Delete(slices.Clone(log[i].cmds), j, j+1)
			if less(cut) {
				log = cut
				continue
			}
			log = shrinkTxn(log, i, j, less)
			j++
		}
	}
	return log
}

// shrinkTxn leaves out what a transaction, if this is one, has too much.
func shrinkTxn(log []modelEntry, i, j int, less func([]modelEntry) bool) []modelEntry {
	shorter := func(change func(c *modelCommand)) bool {
		cut := slices.Clone(log)
		cut[i].cmds = slices.Clone(log[i].cmds)
		c := &cut[i].cmds[j]
		change(c)
		c.encode()
		if !less(cut) {
			return false
		}
		log = cut
		return true
	}
	for n := 0; n < len(log[i].cmds[j].txn.If); {
		if !shorter(func(c *modelCommand) { c.txn.If = slices.Delete(slices.Clone(c.txn.If), n, n+1) }) {
			n++
		}
	}
	for _, ops := range []func(*Txn) *[]Op{
		func(t *Txn) *[]Op { return &t.Then }, func(t *Txn) *[]Op { return &t.Else },
	} {
		for n := 0; n < len(*ops(&log[i].cmds[j].txn)); {
			if !shorter(func(c *modelCommand) { *ops(&c.txn) = slices.Delete(slices.Clone(*ops(&c.txn)), n, n+1) }) {
				n++
			}
		}
	}
	return log
}

func printLog(log []modelEntry) string {
	var b strings.Builder
	for i := range log {
		e := &log[i]
		fmt.Fprintf(&b, "entry %d at %s, then %s\n", e.index, e.clock, e.after)
		for i := range e.cmds {
			fmt.Fprintf(&b, "\t%s\n", &e.cmds[i])
		}
	}
	return b.String()
}

// What shrinks must still fail, and have nothing in it that it could do without.
func TestShrink(t *testing.T) {
	var log []modelEntry
	for i := range 100 {
		e := modelEntry{index: uint64(i)}
		for j := range 5 {
			c := modelCommand{kind: modelTxn, revision: uint64(5*i + j)}
			c.txn.If = make([]Comparison, 2)
			c.txn.Else = []Op{{Kind: OpGet}, {Kind: OpDelete}, {Kind: OpGet}}
			e.cmds = append(e.cmds, c)
		}
		log = append(log, e)
	}
	fails := func(log []modelEntry) bool {
		var first, second bool
		for _, e := range log {
			for _, c := range e.cmds {
				first = first || c.revision == 123
				deletes := slices.ContainsFunc(c.txn.Else, func(op Op) bool { return op.Kind == OpDelete })
				second = second || first && c.revision == 456 && deletes
			}
		}
		return second
	}
	least := shrink(log, fails)
	if !fails(least) || len(least) != 2 || len(least[0].cmds) != 1 || len(least[1].cmds) != 1 {
		t.Fatalf("got\n%s", printLog(least))
	}
	if txn := least[1].cmds[0].txn; len(txn.If) != 0 || len(txn.Else) != 1 {
		t.Fatalf("got\n%s", printLog(least))
	}
}
