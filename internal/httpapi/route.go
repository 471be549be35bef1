package httpapi

import (
	"net/http"
	"strings"
)

// kvPrefix is where keys begin. What follows it is the key, whatever it looks
// like.
const (
	kvPrefix      = "/v1/kv/"
	listPath      = "/v1/kv"
	membersPrefix = "/v1/members/"
)

// action is one method of a route. run returns the status it has answered
// with, or an error and nothing written.
type action struct {
	method string
	writes bool // changes something: refused from foreign pages, and while draining
	run    func(h *Handler, w http.ResponseWriter, r *http.Request) (int, error)
}

// resource is one path of the API with all that can be done to it.
type resource struct {
	path    string // "{…}" stands for the rest of the path
	actions []action
	allow   string // the methods, for 405; set by newRouter
}

// routes is the one table of routes. GET answers HEAD as well.
var routes = []resource{
	{path: "/v1/kv/{key}", actions: []action{
		{"GET", false, (*Handler).getKey},
		{"PUT", true, (*Handler).putKey},
		{"DELETE", true, (*Handler).deleteKey},
	}},
	{path: listPath, actions: []action{
		{"GET", false, (*Handler).listKeys},
		{"DELETE", true, (*Handler).deleteKeys},
	}},
	{path: "/v1/compact", actions: []action{{"POST", true, (*Handler).compact}}},
	{path: "/v1/txn", actions: []action{{"POST", true, (*Handler).txn}}},
	{path: "/v1/leases", actions: []action{
		{"GET", false, (*Handler).listLeases},
		{"POST", true, (*Handler).grantLease},
	}},
	{path: "/v1/leases/{id}", actions: []action{
		{"GET", false, (*Handler).getLease},
		{"DELETE", true, (*Handler).revokeLease},
	}},
	{path: "/v1/leases/{id}/keepalive", actions: []action{{"POST", true, (*Handler).keepAlive}}},
	{path: "/v1/requests/{key}", actions: []action{{"GET", false, (*Handler).getRequest}}},
	{path: "/v1/members", actions: []action{
		{"GET", false, (*Handler).listMembers},
		{"POST", true, (*Handler).addMember},
	}},
	{path: "/v1/members/{id}", actions: []action{
		{"DELETE", true, (*Handler).removeMember},
	}},
	{path: "/v1/status", actions: []action{{"GET", false, (*Handler).status}}},
	{path: "/livez", actions: []action{{"GET", false, (*Handler).livez}}},
	{path: "/readyz", actions: []action{{"GET", false, (*Handler).readyz}}},
	{path: "/metrics", actions: []action{{"GET", false, (*Handler).serveMetrics}}},
	{path: "/v1/watch", actions: []action{{"GET", false, (*Handler).watch}}},
	{path: "/v1/openapi.json", actions: []action{{"GET", false, (*Handler).openapi}}},
	{path: "/version", actions: []action{{"GET", false, (*Handler).version}}},
}

// compatRoute is raftexample's resource at the root, served when asked for.
var compatRoute = resource{path: "/{key}", actions: []action{
	{"GET", false, (*Handler).compatGet},
	{"PUT", true, (*Handler).compatPut},
	{"POST", true, (*Handler).compatAdd},
	{"DELETE", true, (*Handler).compatRemove},
}}

// router finds the resource of a path, as it was escaped by the client.
type router struct {
	exact   map[string]*resource
	key     *resource
	member  *resource
	compat  *resource // nil: not served
	missing *resource // what a path without a resource gets

	lease     *resource
	keepalive *resource
	request   *resource
}

func newRouter(compat bool) *router {
	rt := &router{exact: make(map[string]*resource), missing: &resource{}}
	for _, res := range routes {
		res.allow = allowed(res.actions)
		switch {
		case strings.HasPrefix(res.path, kvPrefix):
			rt.key = &res
		case strings.HasPrefix(res.path, membersPrefix):
			rt.member = &res
		case strings.HasPrefix(res.path, leasesPrefix) && strings.HasSuffix(res.path, keepaliveEnd):
			rt.keepalive = &res
		case strings.HasPrefix(res.path, leasesPrefix):
			rt.lease = &res
		case strings.HasPrefix(res.path, requestsPrefix):
			rt.request = &res
		default:
			rt.exact[res.path] = &res
		}
	}
	if compat {
		res := compatRoute
		res.allow = allowed(res.actions)
		rt.compat = &res
	}
	return rt
}

func allowed(actions []action) string {
	var names []string
	for _, a := range actions {
		names = append(names, a.method)
		if a.method == http.MethodGet {
			names = append(names, http.MethodHead)
		}
	}
	return strings.Join(names, ", ")
}

// resource never returns nil. escaped and decoded are the two forms of the
// path.
func (rt *router) resource(escaped, decoded string) *resource {
	if strings.HasPrefix(escaped, kvPrefix) {
		return rt.key
	}
	if res, ok := rt.exact[escaped]; ok {
		return res
	}
	if strings.HasPrefix(escaped, membersPrefix) {
		return rt.member
	}
	if strings.HasPrefix(escaped, leasesPrefix) {
		if strings.HasSuffix(escaped, keepaliveEnd) {
			return rt.keepalive
		}
		return rt.lease
	}
	if strings.HasPrefix(escaped, requestsPrefix) {
		return rt.request
	}
	// A key that a proxy might unescape into one of our paths is not served at
	// the root either.
	if rt.compat != nil && strings.HasPrefix(escaped, "/") && !reserved(escaped) && !reserved(decoded) {
		return rt.compat
	}
	return rt.missing
}

// action finds what a method does, or nil.
func (res *resource) action(method string) *action {
	if method == http.MethodHead {
		method = http.MethodGet
	}
	for i := range res.actions {
		if res.actions[i].method == method {
			return &res.actions[i]
		}
	}
	return nil
}

// reserved tells whether the first segment of a path is one that kvd uses, or
// will use, for itself.
func reserved(path string) bool {
	first, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	switch first {
	case "v1", "livez", "readyz", "metrics", "version", "ui", "debug", "raft", "problems":
		return true
	}
	return false
}
