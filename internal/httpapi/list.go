package httpapi

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"kvd/internal/kvstore"
)

const (
	defaultLimit = 1_000
	maxLimit     = 10_000
	maxPageBytes = 8 << 20 // of keys and values, after which a page ends
)

var ndjsonType = []string{"application/x-ndjson"}

// listing is one request for many keys.
type listing struct {
	span   span // all of it, as the cursors know it
	rest   span // what is left from the cursor on
	view   kvstore.View
	params *manyParams
}

// listKeys serves GET and HEAD of the keys: a page of them, their number, or
// all of them as lines.
func (h *Handler) listKeys(w http.ResponseWriter, r *http.Request) (int, error) {
	p, err := parseParams(r.URL.RawQuery, paramsList)
	if err != nil {
		return 0, err
	}
	lines := wantsNDJSON(r.Header["Accept"])
	l, err := newListing(&p, lines)
	if err != nil {
		return 0, err
	}
	if lines && !l.params.count {
		defer h.listings.Add(-1)
		if h.listings.Add(1) > int64(h.cfg.MaxStreams) {
			return 0, &fault{cause: errTooManyListings, detail: "as many listings in lines are being read as this member serves at once; pages are not counted"}
		}
	}
	ctx, cancel := h.context(w, r, p.timeout)
	defer cancel()
	if l.view, err = h.view(ctx, w, &p); err != nil {
		return 0, err
	}

	header := w.Header()
	header["Kvd-Revision"] = []string{strconv.FormatUint(l.view.Revision(), 10)}
	header["X-Content-Type-Options"] = nosniff
	header["Vary"] = varyAccept
	switch {
	case l.params.count:
		writeJSON(w, r, http.StatusOK, jsonType, countJSON{l.view.Revision(), l.count()})
	case lines:
		header["Content-Type"] = ndjsonType
		l.writeLines(w, r)
	default:
		header["Content-Type"] = jsonType
		l.writePage(w, r)
	}
	return http.StatusOK, nil
}

// newListing checks the parameters against one another. A cursor sets the
// revision to read at.
func newListing(p *params, lines bool) (*listing, error) {
	m := p.of()
	all, err := newSpan(m)
	if err != nil {
		return nil, err
	}
	l := &listing{span: all, rest: all, params: m}
	switch {
	case m.count && m.cursor != "":
		return nil, badParameter("cursor", "count=true counts all of the range")
	case m.count && m.limit != 0:
		return nil, badParameter("limit", "count=true counts all of the range")
	case lines && m.limit != 0:
		return nil, badParameter("limit", "application/x-ndjson gives all of the range")
	}
	if m.limit == 0 {
		m.limit = defaultLimit
	}
	if m.cursor == "" {
		return l, nil
	}
	c, ok := decodeCursor(m.cursor, &all)
	if ok {
		l.rest, ok = all.after(c.bound)
	}
	if !ok {
		return nil, badParameter("cursor", "not a cursor of this listing: it goes with the range, separator and reverse that it was given for")
	}
	if p.revision != 0 && p.revision != c.revision {
		return nil, badParameter("revision", "the cursor is of another revision")
	}
	p.revision = c.revision
	return l, nil
}

// countJSON is the answer to count=true.
type countJSON struct {
	Revision uint64 `json:"revision"`
	Count    uint64 `json:"count"`
}

func (l *listing) count() uint64 {
	var n uint64
	l.rest.entries(l.view, func(*kvstore.Item, []byte) bool { n++; return true })
	return n
}

// writeLines answers with one line an entry.
func (l *listing) writeLines(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodHead {
		w.WriteHeader(http.StatusOK)
		return
	}
	s := newStream(w)
	l.rest.entries(l.view, func(item *kvstore.Item, fold []byte) bool {
		if fold != nil {
			s.buf = append(appendBytes(append(s.buf, '{'), "prefix", fold), '}', '\n')
		} else {
			s.buf = append(appendItem(s.buf, item, l.params.keys), '\n')
		}
		return s.next()
	})
	s.end()
}

// page is what one answer shows.
type page struct {
	items       []kvstore.Item
	folds       [][]byte // UTF-8
	foldsBase64 [][]byte // not UTF-8
	next        string   // cursor; "": this is the last page
}

func (l *listing) page() *page {
	pg := new(page)
	left, size := l.params.limit, 0
	var last []byte // what the entry before stands for
	l.rest.entries(l.view, func(item *kvstore.Item, fold []byte) bool {
		if left == 0 {
			c := cursor{revision: l.view.Revision(), bound: item.Key}
			if l.span.reverse {
				c.bound = last
			}
			pg.next = c.encode(&l.span)
			return false
		}
		left--
		size += len(fold)
		switch last = fold; {
		case fold == nil:
			pg.items, last = append(pg.items, *item), item.Key
			if size += len(item.Key); !l.params.keys {
				size += len(item.Value)
			}
		case utf8.Valid(fold):
			pg.folds = append(pg.folds, fold)
		default:
			pg.foldsBase64 = append(pg.foldsBase64, fold)
		}
		if size >= maxPageBytes {
			left = 0
		}
		return true
	})
	return pg
}

// writePage answers with one page as one JSON object.
func (l *listing) writePage(w http.ResponseWriter, r *http.Request) {
	pg := l.page()
	if pg.next != "" {
		w.Header()["Link"] = []string{"<" + nextURL(r.URL.RawQuery, pg.next) + `>; rel="next"`}
	}
	if r.Method == http.MethodHead {
		w.WriteHeader(http.StatusOK)
		return
	}
	s := newStream(w)
	s.buf = append(s.buf, `{"revision":`...)
	s.buf = strconv.AppendUint(s.buf, l.view.Revision(), 10)
	s.buf = append(s.buf, `,"count":`...)
	s.buf = strconv.AppendInt(s.buf, int64(len(pg.items)+len(pg.folds)+len(pg.foldsBase64)), 10)
	s.buf = append(s.buf, `,"items":[`...)
	for i := range pg.items {
		if i > 0 {
			s.buf = append(s.buf, ',')
		}
		s.buf = appendItem(s.buf, &pg.items[i], l.params.keys)
		if !s.next() {
			return
		}
	}
	s.buf = append(s.buf, ']')
	if l.params.separator != nil {
		s.list("prefixes", pg.folds, appendString)
	}
	if pg.foldsBase64 != nil {
		s.list("prefixes_base64", pg.foldsBase64, appendBase64)
	}
	if pg.next != "" {
		s.buf = append(s.buf, `,"next":"`...)
		s.buf = append(s.buf, pg.next...)
		s.buf = append(s.buf, '"')
	}
	s.buf = append(s.buf, '}', '\n')
	s.end()
}

// list appends a member that is a list.
func (s *stream) list(name string, values [][]byte, add func(dst, value []byte) []byte) {
	s.buf = append(append(append(s.buf, `,"`...), name...), `":[`...)
	for i, v := range values {
		if i > 0 {
			s.buf = append(s.buf, ',')
		}
		s.buf = add(s.buf, v)
		s.next()
	}
	s.buf = append(s.buf, ']')
}

// nextURL is the request again, for what follows. The query has been read once,
// so it can be; it is escaped anew, since it may have come with bytes that would
// end the link.
func nextURL(query, cursor string) string {
	var b strings.Builder
	b.WriteString(listPath + "?")
	for pair := range strings.SplitSeq(query, "&") {
		name, value, _ := cutPair(pair)
		if name != "" && name != "cursor" {
			b.WriteString(url.QueryEscape(name) + "=" + url.QueryEscape(value) + "&")
		}
	}
	return b.String() + "cursor=" + cursor
}
