package httpapi

import (
	"bytes"

	"kvd/internal/kvstore"
)

// span is the range of keys that a listing goes over, and how.
type span struct {
	prefix    []byte // of all keys in it; folding begins after it
	start     []byte // first key
	end       []byte // first key beyond; nil: none
	separator []byte // nil: nothing is folded
	reverse   bool
}

// newSpan reads a span from the parameters of a listing.
func newSpan(m *manyParams) (span, error) {
	s := span{prefix: m.prefix, start: m.start, end: m.end, separator: m.separator, reverse: m.reverse}
	switch {
	case m.prefix != nil && m.start != nil:
		return s, badParameter("start", "prefix is given as well")
	case m.prefix != nil && m.end != nil:
		return s, badParameter("end", "prefix is given as well")
	case m.end != nil && len(m.end) == 0:
		return s, badParameter("end", "no key is below an empty one; leave it out for no upper bound")
	case m.end != nil && bytes.Compare(m.end, m.start) < 0:
		return s, badParameter("end", "below start")
	case m.prefix != nil:
		s.start, s.end = m.prefix, kvstore.PrefixEnd(m.prefix)
	}
	return s, nil
}

// fold returns what of a key stands for it and all its neighbours: everything
// to the end of the first separator after the span's prefix. Nil: the key
// stands for itself.
func (s *span) fold(key []byte) []byte {
	if s.separator == nil {
		return nil
	}
	i := bytes.Index(key[len(s.prefix):], s.separator)
	if i < 0 {
		return nil
	}
	n := len(s.prefix) + i + len(s.separator)
	return key[:n:n]
}

// entries calls yield with each key of the span in a view, in order, until it
// returns false. Keys that are folded come once for all of them: the first
// that was met, with what they are folded into. The others are passed over by a
// seek, however many they are. The item is valid until yield returns.
func (s *span) entries(v kvstore.View, yield func(item *kvstore.Item, fold []byte) bool) {
	start, end := s.start, s.end
	var shown kvstore.Item // one for all: its address leaves
	for more := true; more; {
		if more = false; end != nil && bytes.Compare(start, end) >= 0 {
			return
		}
		walk := v.Ascend
		if s.reverse {
			walk = v.Descend
		}
		for item := range walk(start, end) {
			fold := s.fold(item.Key)
			shown = item
			if !yield(&shown, fold) {
				return
			}
			if fold == nil {
				continue
			}
			if s.reverse {
				end = fold
			} else if start = kvstore.PrefixEnd(fold); start == nil {
				return
			}
			more = true
			break
		}
	}
}

// after returns the part of the span from bound on: the first key, or in
// reverse the first beyond. False: bound is not of this span.
func (s span) after(bound []byte) (span, bool) {
	if bytes.Compare(bound, s.start) < 0 || s.end != nil && bytes.Compare(bound, s.end) > 0 {
		return s, false
	}
	if s.reverse {
		s.end = bound
	} else {
		s.start = bound
	}
	return s, true
}
