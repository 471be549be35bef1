package clustertest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// operator changes the cluster through its API, one thing after the other, in good
// times and bad.
type operator struct {
	*sim
	a    *client
	next uint64 // the id given last
	urls int    // addresses made up so far
}

// mostMembers bounds how far the operator lets a cluster grow.
const mostMembers = 6

// member is one as GET /v1/members shows it.
type member struct {
	ID          uint64 `json:"id"`
	PeerURL     string `json:"peer_url"`
	Role        string `json:"role"`
	AutoPromote bool   `json:"auto_promote"`
}

func (o *operator) run(until time.Time) {
	for time.Now().Before(until) {
		o.a.pause(5 * time.Second)
		switch o.a.rng.IntN(12) {
		case 0, 1:
			o.add()
		case 2:
			o.promote()
		case 3:
			o.remove()
		case 4, 5:
			o.replace()
		case 6:
			o.move()
		case 7, 8:
			o.post("transfer of leadership", "/v1/leader", "")
		case 9, 10:
			o.post("snapshot", "/v1/snapshots", "")
		default:
			if newest := o.c.truth.newest(); newest > 30 {
				o.post("compaction", "/v1/compact", fmt.Sprintf(`{"revision":%d}`, newest-30))
			}
		}
	}
}

// post sends something whose outcome is told by what follows.
func (o *operator) post(what, path, body string) bool {
	return o.send(what, call{method: "POST", path: path, body: []byte(body)})
}

// send tells whether it was done.
func (o *operator) send(what string, q call) bool {
	q.header = make(http.Header)
	r, err := o.a.do(o.a.member(), q)
	if err != nil {
		o.did(what+", outcome unknown", "%s %s: %v", q.path, q.body, err)
		return false
	}
	if r.status >= 300 {
		if r.status == http.StatusInternalServerError {
			o.c.violated(fmt.Sprintf("%s %s was answered with %s", q.method, q.path, r.body))
		}
		o.did(what+" refused", "%s %s: %d %s", q.path, q.body, r.status, r.problem().Code)
		return false
	}
	o.did(what, "%s %s", q.path, q.body)
	return true
}

// members are those of the cluster, or nil.
func (o *operator) members() []member { return o.ask(o.a.member()) }

// ask asks one member who the members are.
func (o *operator) ask(srv *server) []member {
	r, err := o.a.do(srv, call{method: "GET", path: "/v1/members"})
	if err != nil || r.status != http.StatusOK {
		return nil
	}
	var all []member
	if err := json.Unmarshal(r.body, &all); err != nil {
		o.c.violated(fmt.Sprintf("members were answered with %q: %v", r.body, err))
	}
	return all
}

// voters counts who votes. With three, no member is needed to elect another in its
// place. One of two that is removed leaves after a while, whether the other has heard
// of it or not; if it has not, it needs a vote that nobody gives any more. And one of
// two that has moved cannot tell the other.
func voters(known []member) (n int) {
	for _, k := range known {
		if k.Role != "learner" {
			n++
		}
	}
	return n
}

// newcomer starts a member under an id that nobody had. It looks for the others
// where they are now.
func (o *operator) newcomer(known []member) *Member {
	m := o.c.Member(o.next)
	seeds := make(map[uint64]string)
	for _, k := range known {
		seeds[k.ID] = k.PeerURL
	}
	m.mu.Lock()
	m.seeds = seeds
	m.mu.Unlock()
	m.Start()
	return m
}

func (o *operator) add() {
	known := o.members()
	if known == nil || len(known) >= mostMembers {
		return
	}
	o.next++
	o.post("add", "/v1/members", fmt.Sprintf(`{"id":%d,"peer_url":%q,"auto_promote":%v}`, o.next, peerURL(o.next), o.a.rng.IntN(3) > 0))
	if o.a.rng.IntN(6) > 0 { // or it never comes
		o.newcomer(known)
	}
}

func (o *operator) promote() {
	for _, k := range o.members() {
		if k.Role == "learner" {
			o.post("promotion", fmt.Sprintf("/v1/members/%d/promote", k.ID), "")
			return
		}
	}
}

func (o *operator) remove() {
	known := o.members()
	if voters(known) < 4 {
		return // two are left too easily
	}
	id := known[o.a.rng.IntN(len(known))].ID
	o.send("removal", call{method: "DELETE", path: fmt.Sprintf("/v1/members/%d", id)})
}

func (o *operator) replace() {
	known := o.members()
	if len(known) >= mostMembers || voters(known) < 3 {
		return
	}
	o.next++
	o.operating.Go(func() { o.newcomer(known) }) // the answer waits for it
	o.post("replacement", "/v1/members/replace", fmt.Sprintf(`{"remove":%d,"add":{"id":%d,"peer_url":%q}}`,
		known[o.a.rng.IntN(len(known))].ID, o.next, peerURL(o.next)))
}

// move gives a member another address: it is told to the others first, or by the
// member itself when it starts there.
func (o *operator) move() {
	known := o.members()
	if voters(known) < 3 {
		return
	}
	k := known[o.a.rng.IntN(len(known))]
	m := o.c.Member(k.ID)
	if m.gone.Load() {
		return
	}
	o.urls++
	url := fmt.Sprintf("http://member-%d:%d", k.ID, 100+o.urls)
	m.Shutdown()
	if o.a.rng.IntN(2) == 0 {
		o.send("change of address", call{method: "PATCH", path: fmt.Sprintf("/v1/members/%d", k.ID), body: fmt.Appendf(nil, `{"peer_url":%q}`, url)})
	}
	m.mu.Lock()
	m.url = url
	m.mu.Unlock()
	m.Stop() // somebody may have started it meanwhile
	o.did("start at another address", "of member %d: %s", k.ID, url)
	o.revive(m)
}
