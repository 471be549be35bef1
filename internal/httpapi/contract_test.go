package httpapi

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
)

// contract is the OpenAPI document as a judge of requests and answers.
type contract struct {
	doc    *openapi3.T
	router *router
	seen   map[string]bool // "operation status" and "operation status type" that were produced
}

func newContract(t testing.TB) *contract {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromData(openapiDocument)
	if err != nil {
		t.Fatalf("load the document: %v", err)
	}
	if err := doc.Validate(t.Context()); err != nil {
		t.Fatalf("the document is not valid: %v", err)
	}
	return &contract{doc: doc, router: newRouter(false), seen: make(map[string]bool)}
}

// route finds the operation of a request, by the table that serves it.
func (c *contract) route(r *http.Request) (*routers.Route, map[string]string, error) {
	path := c.router.resource(r.URL.EscapedPath(), r.URL.Path).path
	item := c.doc.Paths.Value(path)
	if item == nil || item.GetOperation(r.Method) == nil {
		return nil, nil, fmt.Errorf("%s %s is not documented", r.Method, path)
	}
	params := make(map[string]string)
	if before, rest, ok := strings.Cut(path, "{"); ok {
		name, after, _ := strings.Cut(rest, "}")
		params[name] = strings.TrimSuffix(strings.TrimPrefix(r.URL.Path, before), after)
	}
	return &routers.Route{Spec: c.doc, Path: path, PathItem: item, Method: r.Method, Operation: item.GetOperation(r.Method)}, params, nil
}

// usual are header fields that need no mention: of HTTP itself, and those that
// the document tells of once for all.
var usual = []string{"Accept", "Host", "Content-Length", "Content-Type", "Date", "Connection", "Transfer-Encoding",
	"Cache-Control", "Vary", "X-Content-Type-Options", "Content-Security-Policy", "X-Accel-Buffering"}

// check judges one exchange. A request that was refused is not looked at: most
// of them are meant to be wrong.
func (c *contract) check(r *http.Request, sent []byte, resp *http.Response, body []byte) error {
	route, params, err := c.route(r)
	if err != nil {
		return err
	}
	r = r.Clone(context.Background())
	r.Body, r.GetBody, r.ContentLength = io.NopCloser(bytes.NewReader(sent)), nil, int64(len(sent))
	in := &openapi3filter.RequestValidationInput{Request: r, PathParams: params, Route: route}
	var errs []error
	if resp.StatusCode < 400 {
		errs = append(errs, c.checkRequest(in))
	}
	documented := route.Operation.Responses.Status(resp.StatusCode)
	if documented == nil {
		return fmt.Errorf("%s: status %d is not documented: %s", route.Operation.OperationID, resp.StatusCode, body)
	}
	errs = append(errs, openapi3filter.ValidateResponse(context.Background(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: in, Status: resp.StatusCode, Header: resp.Header,
		Options: &openapi3filter.Options{ExcludeResponseBody: true, IncludeResponseStatus: true},
	}))
	for name := range resp.Header {
		if !slices.Contains(usual, name) && !hasFold(maps.Keys(documented.Value.Headers), name) {
			errs = append(errs, fmt.Errorf("header %s is not documented", name))
		}
	}
	pair := fmt.Sprintf("%s %d", route.Operation.OperationID, resp.StatusCode)
	c.seen[pair] = true
	errs = append(errs, c.checkBody(pair, documented.Value, resp.Header.Get("Content-Type"), body))
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("%s: %w; body %.500s", pair, err, body)
	}
	return nil
}

// checkRequest validates the request, and demands that what it names is
// documented: the library passes over what it does not know.
func (c *contract) checkRequest(in *openapi3filter.RequestValidationInput) error {
	var query, fields []string
	for _, p := range in.Route.Operation.Parameters {
		switch p.Value.In {
		case openapi3.ParameterInQuery:
			query = append(query, p.Value.Name)
		case openapi3.ParameterInHeader:
			fields = append(fields, p.Value.Name)
		}
	}
	var errs []error
	for name := range in.Request.URL.Query() {
		if !slices.Contains(query, name) {
			errs = append(errs, fmt.Errorf("parameter %s is not documented", name))
		}
	}
	for name := range in.Request.Header {
		if !slices.Contains(usual, name) && !hasFold(slices.Values(fields), name) {
			errs = append(errs, fmt.Errorf("request header %s is not documented", name))
		}
	}
	o := &openapi3filter.Options{MultiError: true, SkipSettingDefaults: true, RejectWhenRequestBodyNotSpecified: true}
	if b := in.Route.Operation.RequestBody; b != nil && b.Value.Content["*/*"] != nil {
		o.ExcludeRequestBody = true // bytes
	}
	in.Options = o
	return errors.Join(append(errs, openapi3filter.ValidateRequest(context.Background(), in))...)
}

// checkBody validates a body against the schema of its type: whole, by lines, or
// by the data of events.
func (c *contract) checkBody(pair string, documented *openapi3.Response, mime string, body []byte) error {
	if len(documented.Content) == 0 {
		if len(body) > 0 {
			return errors.New("a body where none is documented")
		}
		return nil
	}
	media, _, _ := strings.Cut(mime, ";")
	content := documented.Content.Get(media)
	if content == nil {
		return fmt.Errorf("type %q is not documented", mime)
	}
	c.seen[pair+" "+media] = true
	var values []string
	switch media {
	case "application/json", "application/problem+json":
		values = []string{string(body)}
	case "application/x-ndjson":
		values = strings.Split(strings.TrimSuffix(string(body), "\n"), "\n")
	case "text/event-stream":
		for line := range strings.Lines(string(body)) {
			if data, ok := strings.CutPrefix(line, "data: "); ok {
				values = append(values, data)
			}
		}
	}
	for _, text := range values {
		var v any
		if err := json.Unmarshal([]byte(text), &v); err != nil {
			return fmt.Errorf("%w in %.200q", err, text)
		}
		if err := content.Schema.Value.VisitJSON(v, openapi3.EnableJSONSchema2020(), openapi3.VisitAsResponse()); err != nil {
			return fmt.Errorf("%.200s: %w", text, err)
		}
	}
	return nil
}

func hasFold(names func(func(string) bool), name string) bool {
	for n := range names {
		if strings.EqualFold(n, name) {
			return true
		}
	}
	return false
}

// TestContract runs every documented request against the real handler, and finds
// every documented answer.
func TestContract(t *testing.T) {
	c := newContract(t)
	for _, row := range contractRows(c) {
		t.Run(row.String(), func(t *testing.T) { c.run(t, row) })
	}
	for path, item := range c.doc.Paths.Map() {
		for method, op := range item.Operations() {
			for status, resp := range op.Responses.Map() {
				pair := op.OperationID + " " + status
				if !c.seen[pair] {
					t.Errorf("%s %s: no request of the table gets a %s", method, path, status)
				}
				for media := range resp.Value.Content {
					if media != "*/*" && !c.seen[pair+" "+media] {
						t.Errorf("%s: no answer of type %s", pair, media)
					}
				}
			}
		}
	}
}

// run serves one row on a socket, in a store of its own.
func (c *contract) run(t *testing.T, row contractRow) {
	t.Helper()
	f := newFixture(t, func(cfg *Config) { cfg.MaxWatches = 1 })
	row.seed(f)
	addr := f.serve(row.server)
	var body io.Reader = strings.NewReader(row.body)
	if row.length > 0 { // announced, and never sent
		silent, mouth := net.Pipe()
		defer mouth.Close()
		body = silent
	}
	r, err := http.NewRequest(row.method, "http://"+addr+row.target, body)
	if err != nil {
		t.Fatal(err)
	}
	if row.length > 0 {
		r.ContentLength = row.length
	}
	r.Header["User-Agent"] = nil
	if row.method == "POST" || row.method == "PATCH" {
		r.Header.Set("Content-Type", "application/json")
	}
	for _, h := range row.headers {
		name, value, _ := strings.Cut(h, ": ")
		if name == "Host" {
			r.Host = value
			continue
		}
		r.Header.Add(name, value)
	}
	client := &http.Transport{DisableKeepAlives: true, DisableCompression: true}
	resp, err := client.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := row.read(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != row.status {
		t.Fatalf("got %d %s", resp.StatusCode, answer)
	}
	delete(r.Header, "User-Agent")
	if err := c.check(r, []byte(row.body), resp, answer); err != nil {
		t.Error(err)
	}
}

// read takes the whole answer, or so many lines of one that does not end.
func (row *contractRow) read(body io.Reader) ([]byte, error) {
	if row.lines == 0 {
		return io.ReadAll(body)
	}
	var all []byte
	for br := bufio.NewReader(body); row.lines > 0; row.lines-- {
		line, err := br.ReadBytes('\n')
		if all = append(all, line...); err != nil {
			return all, err
		}
	}
	return all, nil
}

// Every route is documented, and nothing else is.
func TestContractHasEveryRoute(t *testing.T) {
	c := newContract(t)
	var served, documented []string
	for _, res := range routes {
		for _, a := range res.actions {
			served = append(served, a.method+" "+res.path)
		}
	}
	for path, item := range c.doc.Paths.Map() {
		for method := range item.Operations() {
			documented = append(documented, method+" "+path)
		}
	}
	slices.Sort(served)
	slices.Sort(documented)
	for _, s := range served {
		if !slices.Contains(documented, s) {
			t.Errorf("%s is not documented", s)
		}
	}
	for _, d := range documented {
		if !slices.Contains(served, d) {
			t.Errorf("%s is not served", d)
		}
	}
}

// Each problem has its code in the document, and each code a problem.
func TestContractHasEveryCode(t *testing.T) {
	c := newContract(t)
	documented := make(map[string]bool)
	for _, v := range c.doc.Components.Schemas["Code"].Value.Enum {
		documented[v.(string)] = true
	}
	served := map[string]bool{internalProblem.code: true}
	for _, p := range problems {
		served[p.code] = true
	}
	if !maps.Equal(served, documented) {
		t.Errorf("served %v\ndocumented %v", slices.Sorted(maps.Keys(served)), slices.Sorted(maps.Keys(documented)))
	}
}

// The judge itself: what is not documented is not let through.
func TestContractIsStrict(t *testing.T) {
	c := newContract(t)
	get, err := http.NewRequest("GET", "http://localhost/v1/kv", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	const good = `{"revision":1,"count":0}`
	tests := []struct {
		name   string
		status int
		target string
		header []string
		body   string
		bad    bool
	}{
		{name: "good", body: good},
		{name: "undocumented member", body: `{"revision":1,"count":0,"more":1}`, bad: true},
		{name: "member missing", body: `{"revision":1}`, bad: true},
		{name: "member of another type", body: `{"revision":1,"count":"0"}`, bad: true},
		{name: "undocumented member of an item", body: `{"revision":1,"count":1,"items":[{"key":"a","mod_revision":1,"create_revision":1,"version":1,"content_type":"","x":1}]}`, bad: true},
		{name: "item without a key", body: `{"revision":1,"count":1,"items":[{"mod_revision":1,"create_revision":1,"version":1,"content_type":""}]}`, bad: true},
		{name: "undocumented status", status: 204, bad: true},
		{name: "undocumented header", header: []string{"Kvd-New", "1"}, body: good, bad: true},
		{name: "header of another form", header: []string{"Kvd-Revision", "x"}, body: good, bad: true},
		{name: "undocumented type", header: []string{"Content-Type", "text/html"}, body: good, bad: true},
		{name: "undocumented parameter", target: "?ca=1", body: good, bad: true},
		{name: "parameter out of bounds", target: "?limit=0", body: good, bad: true},
		{name: "undocumented path", target: "x", body: good, bad: true},
		{name: "bad problem", status: 400, header: []string{"Content-Type", "application/problem+json"}, body: `{"status":400}`, bad: true},
		{name: "no Retry-After", status: 503, header: []string{"Content-Type", "application/problem+json"}, body: `{"type":"/problems/no-leader","title":"No leader","status":503,"code":"no_leader","request_id":"1"}`, bad: true},
	}
	for _, tt := range tests {
		r := get.Clone(t.Context())
		r.URL, err = r.URL.Parse("http://localhost/v1/kv" + tt.target)
		if err != nil {
			t.Fatal(err)
		}
		resp := &http.Response{StatusCode: tt.status, Header: http.Header{"Content-Type": {"application/json"}}}
		if tt.status == 0 {
			resp.StatusCode = 200
		}
		if tt.header != nil {
			resp.Header.Set(tt.header[0], tt.header[1])
		}
		if err := c.check(r, nil, resp, []byte(tt.body)); (err != nil) != tt.bad {
			t.Errorf("%s: got %v", tt.name, err)
		}
	}
}

func TestOpenAPI(t *testing.T) {
	f := newFixture(t)
	resp := f.want(200, string(openapiDocument), "GET", "/v1/openapi.json", "")
	wantHeader(t, resp, map[string]string{"Content-Type": "application/json", "X-Content-Type-Options": "nosniff"})
	if got := readAll(t, f.do("HEAD", "/v1/openapi.json", "")); got != "" {
		t.Errorf("HEAD with a body of %d bytes", len(got))
	}
	f.wantProblem(400, "bad_parameter", "", "GET", "/v1/openapi.json?x=1", "")
}
