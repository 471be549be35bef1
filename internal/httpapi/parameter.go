package httpapi

import (
	"net/url"
	"strconv"
	"strings"
	"time"
)

// paramSet is a set of query parameters.
type paramSet uint16

const (
	paramConsistency paramSet = 1 << iota
	paramTimeout
	paramPrev
	paramForce
	paramVerbose
	paramExclude
	paramName // name[]: which metrics; read by the metrics library
)

// params are the query parameters of one request.
type params struct {
	stale   bool
	timeout time.Duration // 0: not given
	prev    bool
	force   bool
	verbose bool
	exclude []string
}

// parameters is the one table of query parameters.
var parameters = []struct {
	name   string
	bit    paramSet
	repeat bool
	takes  string // for the error
	set    func(p *params, value string) bool
}{
	{"consistency", paramConsistency, false, "linearizable or stale", func(p *params, v string) bool {
		p.stale = v == "stale"
		return p.stale || v == "linearizable"
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
	{"name[]", paramName, true, "the name of a metric", func(*params, string) bool { return true }},
}

func setBool(b *bool, v string) bool {
	*b = v == "true"
	return *b || v == "false"
}

// parseParams reads a query of which only the allowed parameters are known.
// One that is unknown, or there twice, is an error: a typo must never turn a
// conditional write into a blind one.
func parseParams(query string, allowed paramSet) (params, error) {
	var p params
	if query == "" {
		return p, nil
	}
	var seen paramSet
	for pair := range strings.SplitSeq(query, "&") {
		if pair == "" {
			continue
		}
		rawName, rawValue, _ := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(rawName)
		if err != nil {
			return params{}, badParameter(rawName, "bad % escape in a parameter's name")
		}
		value, err := url.QueryUnescape(rawValue)
		if err != nil {
			return params{}, badParameter(name, "bad % escape")
		}
		if err := p.set(name, value, allowed, &seen); err != nil {
			return params{}, err
		}
	}
	return p, nil
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
