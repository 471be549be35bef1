package client

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
)

// lineBuffer is how much of a stream is read at once.
const lineBuffer = 32 << 10

// lines is All by a stream of lines.
func (c *Client) lines(ctx context.Context, o ListOptions) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		w := lister{c: c, o: o}
		if err := w.run(ctx, yield); err != nil {
			yield(Entry{}, err)
		}
	}
}

// lister follows one listing over any number of streams.
type lister struct {
	c    *Client
	o    ListOptions
	last string // the key given out last; "": none was
}

// errStopped is for a caller who wants no more.
var errStopped = errors.New("stopped")

func (l *lister) run(ctx context.Context, yield func(Entry, error) bool) error {
	t := l.c.tries(l.call(), l.c.cfg.Timeout)
	for {
		s, e := t.open(ctx, l.c.cfg.AttemptTimeout)
		if e == nil {
			before := l.last
			err := l.follow(s, yield)
			switch {
			case err == nil || err == errStopped:
				return nil
			case errors.Is(err, ErrBadAnswer) || errors.Is(err, ErrTooLarge):
				e = t.call.failure(err)
				e.Endpoint, e.Status, e.Attempts = t.endpoint(), 200, t.made+1
				return e
			}
			if l.last != before {
				t.renew(l.c.cfg.Timeout)
			}
			e = t.call.failure(err)
			e.Endpoint = t.endpoint()
			t.call = l.call()
		}
		if err := t.again(ctx, e); err != nil {
			return err
		}
	}
}

// call prepares the call for what is left. It begins with the key that came
// last, which is there still, since the revision is the same: the key after it
// could be too long to be asked for.
func (l *lister) call() *call {
	o := l.o
	o.Limit = 0
	if l.last != "" {
		o.MinRevision = max(o.MinRevision, o.Revision)
		if o.Prefix != "" {
			o.Start, o.End, o.Prefix = o.Prefix, prefixEnd(o.Prefix), ""
		}
		if o.Reverse {
			o.End = l.last
		} else {
			o.Start = l.last
		}
	}
	q := o.call()
	q.set("Accept", "application/x-ndjson")
	return q
}

// follow gives out the entries of one stream.
func (l *lister) follow(s *stream, yield func(Entry, error) bool) error {
	defer s.close()
	if l.o.Revision == 0 {
		l.o.Revision = headerUint(s.header, "Kvd-Revision")
	}
	r := bufio.NewReaderSize(s, lineBuffer)
	var line []byte
	for {
		var err error
		line, err = readLine(r, line[:0], s.limit)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		e, err := parseEntry(line)
		if err != nil {
			return err
		}
		if e.Key == l.last && e.Prefix == "" {
			continue
		}
		l.last = e.Key
		if !yield(e, nil) {
			return errStopped
		}
	}
}

// parseEntry reads one line of a listing.
func parseEntry(line []byte) (Entry, error) {
	var j struct {
		itemJSON
		Prefix       *string `json:"prefix"`
		PrefixBase64 []byte  `json:"prefix_base64"`
	}
	if err := json.Unmarshal(line, &j); err != nil {
		return Entry{}, fmt.Errorf("%w: %w", ErrBadAnswer, err)
	}
	e := Entry{Item: j.item(), Prefix: string(bytesOf(j.Prefix, j.PrefixBase64))}
	if e.Key == "" && e.Prefix == "" {
		return Entry{}, fmt.Errorf("%w: an entry without a key", ErrBadAnswer)
	}
	return e, nil
}

// readLine appends one line without its end to line. io.EOF: there is no
// further one; a line that does not end is io.ErrUnexpectedEOF.
func readLine(r *bufio.Reader, line []byte, limit int64) ([]byte, error) {
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case int64(len(line)) > limit:
			return line, fmt.Errorf("%w: a line of more than %d bytes", ErrTooLarge, limit)
		case err == bufio.ErrBufferFull:
			continue
		case err == io.EOF && len(line) > 0:
			return line, io.ErrUnexpectedEOF
		case err != nil:
			return line, err
		}
		line = line[:len(line)-1]
		if n := len(line); n > 0 && line[n-1] == '\r' {
			line = line[:n-1]
		}
		return line, nil
	}
}

// prefixEnd is the first key beyond all that begin with prefix; "": there is
// none.
func prefixEnd(prefix string) string {
	b := []byte(prefix)
	for len(b) > 0 {
		if b[len(b)-1]++; b[len(b)-1] != 0 {
			return string(b)
		}
		b = b[:len(b)-1]
	}
	return ""
}

// sorted returns a copy of keys in the order of a listing.
func sorted(keys []string, reverse bool) []string {
	keys = slices.Clone(keys)
	slices.Sort(keys)
	if reverse {
		slices.Reverse(keys)
	}
	return keys
}
