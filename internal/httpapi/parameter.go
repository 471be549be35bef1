package httpapi

import (
	"net/url"
	"strconv"
	"strings"
	"time"

	"kvd/internal/kvstore"
)

// paramSet is a set of query parameters.
type paramSet uint32

const (
	paramConsistency paramSet = 1 << iota
	paramTimeout
	paramPrev
	paramForce
	paramVerbose
	paramExclude
	paramName // name[]: which metrics; read by the metrics library
	paramMaxStale
	paramMinRevision
	paramRevision
	paramPrefix
	paramStart
	paramEnd
	paramLimit
	paramCursor
	paramKeys
	paramCount
	paramSeparator
	paramReverse
	paramConfirm
	paramDryRun
	paramTTL
	paramLease
)

const (
	// paramsRead are the parameters of every read of the store.
	paramsRead = paramConsistency | paramMaxStale | paramMinRevision | paramRevision | paramTimeout
	// paramsNow are those of a read of what has no history.
	paramsNow = paramsRead &^ paramRevision
	// paramsList are those of a listing.
	paramsList = paramsRead | paramPrefix | paramStart | paramEnd | paramLimit | paramCursor |
		paramKeys | paramCount | paramSeparator | paramReverse
	// paramsDelete are those of deleting many keys at once.
	paramsDelete = paramPrefix | paramConfirm | paramDryRun | paramTimeout
)

// params are the query parameters of one request.
type params struct {
	watch *watchParams  // nil: none was given
	wait  time.Duration // of a long poll; 0: not given

	linearizable bool // asked for by name
	stale        bool
	maxStale     time.Duration // 0: not given
	minRevision  uint64        // 0: not given
	revision     uint64        // 0: not given
	timeout      time.Duration // 0: not given
	prev         bool
	force        bool
	verbose      bool
	exclude      []string
	ttl          time.Duration   // 0: not given
	lease        kvstore.LeaseID // 0: not given
	many         *manyParams     // nil: none was given
}

// manyParams are the parameters of requests for many keys. They stand apart to
// keep the params of every day small.
type manyParams struct {
	prefix, start, end []byte // nil: not given
	separator          []byte // nil: not given
	limit              int    // 0: not given
	cursor             string // "": not given
	keys               bool
	count              bool
	reverse            bool
	confirmed          bool // confirm=all
	dryRun             bool
}

// of returns what the request says about many keys.
func (p *params) of() *manyParams {
	if p.many == nil {
		p.many = new(manyParams)
	}
	return p.many
}

// dryRun tells whether the request only asks what it would do.
func (p *params) dryRun() bool { return p.many != nil && p.many.dryRun }

// parameters is the one table of query parameters.
var parameters = []struct {
	name   string
	bit    paramSet
	repeat bool
	takes  string // for the error
	set    func(p *params, value string) bool
}{
	{"consistency", paramConsistency, false, "linearizable or stale", func(p *params, v string) bool {
		p.stale, p.linearizable = v == "stale", v == "linearizable"
		return p.stale || p.linearizable
	}},
	{"max_stale", paramMaxStale, false, "a duration such as 2s, above 0", func(p *params, v string) bool {
		d, err := time.ParseDuration(v)
		p.maxStale = d
		return err == nil && d > 0
	}},
	{"min_revision", paramMinRevision, false, "a revision", func(p *params, v string) bool { return setUint(&p.minRevision, v) }},
	{"revision", paramRevision, false, "a revision above 0", func(p *params, v string) bool {
		return setUint(&p.revision, v) && p.revision > 0
	}},
	{"timeout", paramTimeout, false, "a duration such as 2s, above 0 and at most " + maxTimeout.String(), func(p *params, v string) bool {
		d, err := time.ParseDuration(v)
		p.timeout = d
		return err == nil && d > 0 && d <= maxTimeout
	}},
	{"prev", paramPrev, false, "true or false", func(p *params, v string) bool { return setBool(&p.prev, v) }},
	{"force", paramForce, false, "true or false", func(p *params, v string) bool { return setBool(&p.force, v) }},
	{"verbose", paramVerbose, false, "nothing, true or false", func(p *params, v string) bool {
		p.verbose = v == ""
		return p.verbose || setBool(&p.verbose, v)
	}},
	{"exclude", paramExclude, true, "the name of a check", func(p *params, v string) bool {
		p.exclude = append(p.exclude, v)
		return v != ""
	}},
	{"prefix", paramWatched, true, takesKey, func(p *params, v string) bool { return addKey(&p.watched().prefixes, v, setKey) }},
	{"prefix_base64", paramWatched, true, takesBase64, func(p *params, v string) bool { return addKey(&p.watched().prefixes, v, setBase64) }},
	{"key", paramWatched, true, "1 to 4096 bytes, percent-encoded", func(p *params, v string) bool {
		return addKey(&p.watched().keys, v, setKey) && !p.watched().emptyKey()
	}},
	{"key_base64", paramWatched, true, "base64 of 1 to 4096 bytes", func(p *params, v string) bool {
		return addKey(&p.watched().keys, v, setBase64) && !p.watched().emptyKey()
	}},
	{"since", paramSince, false, "a revision", func(p *params, v string) bool {
		p.watched().hasSince = true
		return setUint(&p.watched().since, v)
	}},
	{"events", paramEvents, false, "a list of put, delete and expire, each at most once", func(p *params, v string) bool {
		return setEventTypes(&p.watched().types, v)
	}},
	{"wait", paramWait, false, "a duration such as 30s, above 0 and at most " + maxTimeout.String(), func(p *params, v string) bool {
		d, err := time.ParseDuration(v)
		p.wait = d
		return err == nil && d > 0 && d <= maxTimeout
	}},
	{"prefix", paramPrefix, false, takesKey, func(p *params, v string) bool { return setKey(&p.of().prefix, v) }},
	{"prefix_base64", paramPrefix, false, takesBase64, func(p *params, v string) bool { return setBase64(&p.of().prefix, v) }},
	{"start", paramStart, false, takesKey, func(p *params, v string) bool { return setKey(&p.of().start, v) }},
	{"start_base64", paramStart, false, takesBase64, func(p *params, v string) bool { return setBase64(&p.of().start, v) }},
	{"end", paramEnd, false, takesKey, func(p *params, v string) bool { return setKey(&p.of().end, v) }},
	{"end_base64", paramEnd, false, takesBase64, func(p *params, v string) bool { return setBase64(&p.of().end, v) }},
	{"limit", paramLimit, false, "a number from 1 to " + strconv.Itoa(maxLimit), func(p *params, v string) bool {
		n, err := strconv.Atoi(v)
		p.of().limit = n
		return err == nil && n >= 1 && n <= maxLimit
	}},
	{"cursor", paramCursor, false, "what an earlier answer gave as next", func(p *params, v string) bool {
		p.of().cursor = v
		return v != ""
	}},
	{"keys", paramKeys, false, "true or false", func(p *params, v string) bool { return setBool(&p.of().keys, v) }},
	{"count", paramCount, false, "true or false", func(p *params, v string) bool { return setBool(&p.of().count, v) }},
	{"reverse", paramReverse, false, "true or false", func(p *params, v string) bool { return setBool(&p.of().reverse, v) }},
	{"separator", paramSeparator, false, "1 to " + strconv.Itoa(kvstore.MaxKeyBytes) + " bytes", func(p *params, v string) bool {
		return v != "" && setKey(&p.of().separator, v)
	}},
	{"confirm", paramConfirm, false, "all", func(p *params, v string) bool {
		p.of().confirmed = v == "all"
		return v == "all"
	}},
	{"dry_run", paramDryRun, false, "true or false", func(p *params, v string) bool { return setBool(&p.of().dryRun, v) }},
	{"ttl", paramTTL, false, takesTTL, func(p *params, v string) bool {
		var ok bool
		p.ttl, ok = parseTTL(v)
		return ok
	}},
	{"lease", paramLease, false, takesLease, func(p *params, v string) bool { return setLease(&p.lease, v) }},
	{"name[]", paramName, true, "the name of a metric", func(*params, string) bool { return true }},
}

// parseParams reads a query of which only the allowed parameters are known.
// One that is unknown, or there twice, is an error: a typo must never turn a
// conditional write into a blind one.
func parseParams(query string, allowed paramSet) (params, error) {
	if query == "" {
		return params{}, nil
	}
	var p params // leaves for the heap: only now
	var seen paramSet
	for pair := range strings.SplitSeq(query, "&") {
		if pair == "" {
			continue
		}
		name, value, err := cutPair(pair)
		if err != nil {
			return params{}, err
		}
		if err := p.set(name, value, allowed, &seen); err != nil {
			return params{}, err
		}
	}
	return p, nil
}

// cutPair decodes one parameter. A semicolon is a byte like any other.
func cutPair(pair string) (name, value string, err error) {
	rawName, rawValue, _ := strings.Cut(pair, "=")
	if name, err = url.QueryUnescape(rawName); err != nil {
		return "", "", badParameter(rawName, "bad % escape in a parameter's name")
	}
	if value, err = url.QueryUnescape(rawValue); err != nil {
		return "", "", badParameter(name, "bad % escape")
	}
	return name, value, nil
}

func (p *params) set(name, value string, allowed paramSet, seen *paramSet) error {
	for i := range parameters {
		known := &parameters[i]
		if known.name != name || known.bit&allowed == 0 {
			continue
		}
		if known.bit&*seen != 0 && !known.repeat {
			return badParameter(name, "given more than once")
		}
		*seen |= known.bit
		if !known.set(p, value) {
			return badParameter(name, "takes "+known.takes)
		}
		return nil
	}
	return badParameter(name, "unknown for this request")
}

func badParameter(name, detail string) error {
	if len(name) > 64 {
		name = name[:64] + "…"
	}
	return &fault{cause: errBadParameter, detail: strconv.Quote(name) + ": " + detail, parameter: name}
}
