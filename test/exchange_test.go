package test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// exchange is one request and what its answer must be. Words in braces stand
// for variables: {p} is a part of the store of its own, {etag} and {rev} are the
// last answer's, others are what an exchange before has saved.
type exchange struct {
	name   string
	method string // "" is GET
	path   string
	body   string
	header []string // names and values in turn

	status int
	code   string   // of a problem
	has    []string // texts that the body must hold
	is     string   // what the body must be; not looked at if empty
	fields []string // names and values in turn of the answer's header; "*" is any value, "" none
	save   []string // names of JSON members, whose values become variables
}

// conversation is a sequence of exchanges with one member.
type conversation struct {
	m    *member
	vars map[string]string
}

func newConversation(m *member) *conversation {
	p := strings.ReplaceAll(m.name(), " ", "-") + "/"
	return &conversation{m: m, vars: map[string]string{"p": p}}
}

var variable = regexp.MustCompile(`\{[a-z_]+\}`)

// fill puts variables into a text. Braces that are none, as in JSON, stay.
func (c *conversation) fill(s string) string {
	return variable.ReplaceAllStringFunc(s, func(v string) string {
		if got, ok := c.vars[v[1:len(v)-1]]; ok {
			return got
		}
		return v
	})
}

func (c *conversation) run(t *testing.T, xs []exchange) {
	t.Helper()
	for _, x := range xs {
		c.exchange(t, x)
	}
}

func (c *conversation) exchange(t *testing.T, x exchange) {
	t.Helper()
	method := x.method
	if method == "" {
		method = http.MethodGet
	}
	var body []byte
	if x.body != "" {
		body = []byte(c.fill(x.body))
	}
	var header []string
	for _, h := range x.header {
		header = append(header, c.fill(h))
	}
	path := c.fill(x.path)
	r := c.m.call(method, path, body, header...)
	what := fmt.Sprintf("%s: %s %s", x.name, method, path)
	if r.status != x.status {
		t.Errorf("%s: got %d %s, want %d", what, r.status, r.body, x.status)
		return
	}
	if x.code != "" {
		outcome := ""
		if method != http.MethodGet && method != http.MethodHead {
			outcome = "not_applied" // of all that is refused for what it asks
		}
		wantProblem(t, r, x.status, x.code, outcome)
		if got := r.problem().Outcome; got != outcome {
			t.Errorf("%s: outcome %q, want %q", what, got, outcome)
		}
	}
	for _, want := range x.has {
		if want = c.fill(want); !strings.Contains(string(r.body), want) {
			t.Errorf("%s: got %s, want %s in it", what, r.body, want)
		}
	}
	if want := c.fill(x.is); want != "" && strings.TrimSpace(string(r.body)) != want {
		t.Errorf("%s: got %q, want %q", what, r.body, want)
	}
	for i := 0; i < len(x.fields); i += 2 {
		got, want := r.header.Get(x.fields[i]), c.fill(x.fields[i+1])
		if want == "*" && got == "" || want != "*" && got != want {
			t.Errorf("%s: %s is %q, want %q", what, x.fields[i], got, want)
		}
	}
	c.vars["etag"], c.vars["rev"] = r.header.Get("ETag"), r.header.Get("Kvd-Revision")
	if len(x.save) > 0 {
		var all map[string]any
		dec := json.NewDecoder(bytes.NewReader(r.body))
		dec.UseNumber() // revisions stay as they are written
		if err := dec.Decode(&all); err != nil {
			t.Fatalf("%s: %v in %s", what, err, r.body)
		}
		for _, name := range x.save {
			c.vars[name] = fmt.Sprint(all[name])
		}
	}
}
