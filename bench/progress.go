package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// lineWidth is how much of a terminal the progress line takes at most.
const lineWidth = 110

// progressLine is one line that is written over and over, or, where nobody looks
// at a terminal, a line now and then.
type progressLine struct {
	w        io.Writer
	terminal bool
	began    time.Time
	last     time.Time
	of, done int // scenarios
}

func newProgressLine(w io.Writer) *progressLine {
	p := &progressLine{w: w, began: time.Now()}
	if f, ok := w.(*os.File); ok {
		if info, err := f.Stat(); err == nil {
			p.terminal = info.Mode()&os.ModeCharDevice != 0
		}
	}
	return p
}

// say shows what is going on.
func (p *progressLine) say(format string, args ...any) {
	now := time.Now()
	if !p.terminal && now.Sub(p.last) < 5*time.Second {
		return
	}
	p.last = now
	s := fmt.Sprintf("[%3.0f s, %d of %d] ", now.Sub(p.began).Seconds(), p.done, p.of) + fmt.Sprintf(format, args...)
	if p.terminal {
		fmt.Fprintf(p.w, "\r%-*.*s", lineWidth, lineWidth, s)
		return
	}
	fmt.Fprintln(p.w, s)
}

// print writes a line that stays.
func (p *progressLine) print(format string, args ...any) {
	p.clear()
	fmt.Fprintf(p.w, format+"\n", args...)
}

// clear removes what say has left.
func (p *progressLine) clear() {
	if p.terminal {
		fmt.Fprintf(p.w, "\r%s\r", strings.Repeat(" ", lineWidth))
	}
}
