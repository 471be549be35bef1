package httpapi

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"kvd/internal/kvstore"
)

// The parameters of watches and long polls. Their bits count from the top, those
// of all others from the bottom.
const (
	paramWatched paramSet = 1 << (31 - iota) // key and prefix, as often as one likes
	paramSince
	paramEvents
	paramWait

	paramsWatch = paramWatched | paramSince | paramEvents | paramPrev | paramConsistency | paramTimeout
)

// maxWatched is how many keys and prefixes one watch may name.
const maxWatched = 1024

// watchParams are the parameters of a watch that no other request has.
type watchParams struct {
	keys, prefixes [][]byte
	since          uint64
	hasSince       bool
	types          []kvstore.EventType // nil: all
}

// watched returns what the request says about a watch.
func (p *params) watched() *watchParams {
	if p.watch == nil {
		p.watch = new(watchParams)
	}
	return p.watch
}

// addKey reads one more of a parameter that may repeat.
func addKey(keys *[][]byte, v string, set func(*[]byte, string) bool) bool {
	var key []byte
	ok := set(&key, v)
	*keys = append(*keys, key)
	return ok
}

// emptyKey tells whether the last key has no bytes.
func (p *watchParams) emptyKey() bool { return len(p.keys[len(p.keys)-1]) == 0 }

// eventNames are the types of events as clients see them.
var eventNames = [...]string{kvstore.EventPut: "put", kvstore.EventDelete: "delete", kvstore.EventExpire: "expire"}

func setEventTypes(types *[]kvstore.EventType, v string) bool {
	for name := range strings.SplitSeq(v, ",") {
		i := slices.Index(eventNames[:], name)
		if name == "" || i < 0 || slices.Contains(*types, kvstore.EventType(i)) {
			return false
		}
		*types = append(*types, kvstore.EventType(i))
	}
	return true
}

// watchOptions are what the parameters and Last-Event-ID ask of the store. A
// browser that connects again repeats its first URL, so the header wins over
// since.
func (p *params) watchOptions(header http.Header) (kvstore.WatchOptions, error) {
	m := p.watched()
	if len(m.keys)+len(m.prefixes) > maxWatched {
		name := "key"
		if len(m.prefixes) > 0 {
			name = "prefix"
		}
		return kvstore.WatchOptions{}, badParameter(name, "one watch takes at most "+strconv.Itoa(maxWatched)+" keys and prefixes")
	}
	o := kvstore.WatchOptions{
		Keys:     m.keys,
		Prefixes: m.prefixes,
		Since:    m.since,
		FromNow:  !m.hasSince,
		Types:    m.types,
		Prev:     p.prev,
		Stale:    p.stale,
	}
	if lines := header["Last-Event-Id"]; lines != nil {
		if len(lines) != 1 || !setUint(&o.Since, lines[0]) {
			return o, badParameter("Last-Event-ID", "takes the id of an event, a revision")
		}
		o.FromNow = false
	}
	return o, nil
}

// wantsEvents tells whether an Accept header asks for server-sent events and
// not for lines.
func wantsEvents(accept []string) bool {
	events := liking(accept, "text/event-stream")
	return events > 0 && events > liking(accept, "application/x-ndjson") && events >= liking(accept, "*/*")
}
