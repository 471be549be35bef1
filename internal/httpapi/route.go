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

// kind is a set of what is to be checked before an action.
type kind uint8

const (
	writes kind = 1 << iota // changes something: refused from foreign pages, and while draining
	state                   // of the store: refused while the Guard says so
)

// action is one method of a route. run returns the status it has answered
// with, or an error and nothing written.
type action struct {
	method string
	kind   kind
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
		{"GET", state, (*Handler).getKey},
		{"PUT", writes | state, (*Handler).putKey},
		{"DELETE", writes | state, (*Handler).deleteKey},
	}},
	{path: listPath, actions: []action{
		{"GET", state, (*Handler).listKeys},
		{"DELETE", writes | state, (*Handler).deleteKeys},
	}},
	{path: "/v1/compact", actions: []action{{"POST", writes | state, (*Handler).compact}}},
	{path: "/v1/txn", actions: []action{{"POST", writes | state, (*Handler).txn}}},
	{path: "/v1/leases", actions: []action{
		{"GET", state, (*Handler).listLeases},
		{"POST", writes | state, (*Handler).grantLease},
	}},
	{path: "/v1/leases/{id}", actions: []action{
		{"GET", state, (*Handler).getLease},
		{"DELETE", writes | state, (*Handler).revokeLease},
	}},
	{path: "/v1/leases/{id}/keepalive", actions: []action{{"POST", writes | state, (*Handler).keepAlive}}},
	{path: "/v1/requests/{key}", actions: []action{{"GET", state, (*Handler).getRequest}}},
	{path: "/v1/members", actions: []action{
		{"GET", 0, (*Handler).listMembers},
		{"POST", writes, (*Handler).addMember},
	}},
	{path: "/v1/members/{id}", actions: []action{
		{"PATCH", writes, (*Handler).updateMember},
		{"DELETE", writes, (*Handler).removeMember},
	}},
	{path: "/v1/members/{id}/promote", actions: []action{{"POST", writes, (*Handler).promoteMember}}},
	{path: "/v1/members/replace", actions: []action{{"POST", writes, (*Handler).replaceMember}}},
	{path: "/v1/leader", actions: []action{
		{"GET", 0, (*Handler).leader},
		{"POST", writes, (*Handler).transferLeadership},
	}},
	{path: snapshotsPath, actions: []action{{"POST", writes | state, (*Handler).takeSnapshot}}},
	{path: latestSnapshotPath, actions: []action{{"GET", state, (*Handler).getSnapshot}}},
	{path: "/v1/verify", actions: []action{
		{"GET", 0, (*Handler).lastVerification},
		{"POST", writes, (*Handler).verify},
	}},
	{path: "/v1/status", actions: []action{{"GET", 0, (*Handler).status}}},
	{path: "/livez", actions: []action{{"GET", 0, (*Handler).livez}}},
	{path: "/readyz", actions: []action{{"GET", 0, (*Handler).readyz}}},
	{path: "/metrics", actions: []action{{"GET", 0, (*Handler).serveMetrics}}},
	{path: "/v1/watch", actions: []action{{"GET", state, (*Handler).watch}}},
	{path: "/v1/openapi.json", actions: []action{{"GET", 0, (*Handler).openapi}}},
	{path: "/version", actions: []action{{"GET", 0, (*Handler).version}}},
}

// compatRoute is raftexample's resource at the root, served when asked for.
var compatRoute = resource{path: "/{key}", actions: []action{
	{"GET", state, (*Handler).compatGet},
	{"PUT", writes | state, (*Handler).compatPut},
	{"POST", writes, (*Handler).compatAdd},
	{"DELETE", writes, (*Handler).compatRemove},
}}

// router finds the resource of a path, as it was escaped by the client.
type router struct {
	exact   map[string]*resource
	key     *resource
	member  *resource
	promote *resource
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
		case strings.HasPrefix(res.path, membersPrefix+"{") && strings.HasSuffix(res.path, promoteEnd):
			rt.promote = &res
		case strings.HasPrefix(res.path, membersPrefix+"{"):
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
		if strings.HasSuffix(escaped, promoteEnd) {
			return rt.promote
		}
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
