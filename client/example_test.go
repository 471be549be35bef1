package client_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"

	"kvd/client"
)

// newServer answers like a member whose key "greeting" is at revision 7.
func newServer() *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/v1/watch":
			w.Header().Set("Content-Type", "text/event-stream")
			io.WriteString(w, "id: 7\nevent: progress\ndata: {\"type\":\"progress\",\"revision\":7}\n\n")
			io.WriteString(w, "id: 8\nevent: put\ndata: {\"type\":\"put\",\"key\":\"greeting\",\"value\":\"hello\",\"mod_revision\":8}\n\n")
		case r.URL.Path == "/v1/txn":
			io.WriteString(w, `{"succeeded":false,"revision":7,"results":[{"get":{"key":"greeting","value":"hi","mod_revision":7}}]}`)
		case r.Method == http.MethodPut && r.Header.Get("If-None-Match") == "*":
			w.Header().Set("Content-Type", "application/problem+json")
			w.Header().Set("ETag", `"7"`)
			w.WriteHeader(http.StatusPreconditionFailed)
			io.WriteString(w, `{"status":412,"code":"precondition_failed","outcome":"not_applied"}`)
		default:
			w.Header().Set("ETag", `"7"`)
			io.WriteString(w, "hi")
		}
	}))
}

func ExampleClient() {
	srv := newServer()
	defer srv.Close()
	c, err := client.New(client.Config{Endpoints: []string{srv.URL}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	ctx := context.Background()

	_, err = c.Put(ctx, "greeting", []byte("hello"), &client.PutOptions{If: client.IfAbsent()})
	if e, ok := errors.AsType[*client.Error](err); ok && errors.Is(err, client.ErrPrecondition) {
		fmt.Println("it is there since revision", e.CurrentRevision)
	}
	got, err := c.Get(ctx, "greeting", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%s, revision %d\n", got.Value, got.ModRevision)
	// Output:
	// it is there since revision 7
	// hi, revision 7
}

func ExampleClient_Txn() {
	srv := newServer()
	defer srv.Close()
	c, err := client.New(client.Config{Endpoints: []string{srv.URL}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()

	res, err := c.Txn(context.Background(), client.Txn{
		If:   []client.Compare{client.ModRevision("greeting", client.Equal, 6), client.Exists("closed", false)},
		Then: []client.Op{client.PutOp("greeting", []byte("hello"), nil), client.DeletePrefixOp("tmp/")},
		Else: []client.Op{client.GetOp("greeting")},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	if !res.Succeeded {
		fmt.Println("somebody was faster: revision", res.Results[0].Item.ModRevision)
	}
	// Output: somebody was faster: revision 7
}

func ExampleClient_Watch() {
	srv := newServer()
	defer srv.Close()
	c, err := client.New(client.Config{Endpoints: []string{srv.URL}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()

	w, err := c.Watch(context.Background(), &client.WatchOptions{Keys: []string{"greeting"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer w.Close()
	for ev, err := range w.Events() {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%s %s = %s at revision %d\n", ev.Type, ev.Item.Key, ev.Item.Value, ev.Revision)
		break
	}
	// Output: put greeting = hello at revision 8
}

// newCluster answers like a member of a cluster of three, of which one is down.
func newCluster() *httptest.Server {
	file := "what a snapshot holds"
	sum := sha256.Sum256([]byte(file))
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Method + " " + r.URL.Path {
		case "DELETE /v1/members/2":
			io.WriteString(w, `{"voters_before":[1,2,3],"voters_after":[1,3],"quorum_before":2,"quorum_after":2,"tolerated_before":0,"tolerated_after":0,
				"refused":{"code":"would_lose_quorum","detail":"of voters 1 and 3, only 1 answers"}}`)
		case "POST /v1/members/replace":
			w.WriteHeader(http.StatusAccepted)
			io.WriteString(w, `{"id":4,"name":"","peer_url":"http://10.0.0.4:12379","client_url":"","role":"learner","replaces":3,"started":false}`)
		case "POST /v1/leader":
			io.WriteString(w, `{"id":2,"term":8,"client_url":"http://10.0.0.2:12380"}`)
		case "POST /v1/snapshots":
			w.WriteHeader(http.StatusCreated)
			io.WriteString(w, `{"index":40,"term":7,"revision":38,"size_bytes":21}`)
		case "GET /v1/snapshots/latest":
			w.Header().Set("Content-Type", "application/octet-stream")
			w.Header().Set("ETag", `"40-7"`)
			w.Header().Set("Kvd-Revision", "38")
			w.Header().Set("Repr-Digest", "sha-256=:"+base64.StdEncoding.EncodeToString(sum[:])+":")
			io.WriteString(w, file)
		}
	}))
}

func ExampleClient_PlanRemove() {
	srv := newCluster()
	defer srv.Close()
	c, err := client.New(client.Config{Endpoints: []string{srv.URL}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()

	plan, err := c.PlanRemove(context.Background(), 2, false)
	if err != nil {
		fmt.Println(err)
		return
	}
	if plan.Refused != nil {
		fmt.Println("better not:", plan.Refused.Detail)
	}
	// Output: better not: of voters 1 and 3, only 1 answers
}

func ExampleClient_ReplaceMember() {
	srv := newCluster()
	defer srv.Close()
	c, err := client.New(client.Config{Endpoints: []string{srv.URL}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()

	m, done, err := c.ReplaceMember(context.Background(), 3, client.NewMember{PeerURL: "http://10.0.0.4:12379"})
	if err != nil {
		fmt.Println(err)
		return
	}
	if !done {
		fmt.Printf("member %d is a %s, and takes the place of %d when it has caught up\n", m.ID, m.Role, m.Replaces)
	}
	// Output: member 4 is a learner, and takes the place of 3 when it has caught up
}

func ExampleClient_TransferLeadership() {
	srv := newCluster()
	defer srv.Close()
	c, err := client.New(client.Config{Endpoints: []string{srv.URL}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()

	leader, err := c.TransferLeadership(context.Background(), 2)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("member", leader.ID, "leads in term", leader.Term)
	// Output: member 2 leads in term 8
}

// A backup: a snapshot of now, written where it is to be kept. Only what was
// copied without an error is one.
func ExampleClient_LatestSnapshot() {
	srv := newCluster()
	defer srv.Close()
	c, err := client.New(client.Config{Endpoints: []string{srv.URL}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	ctx := context.Background()

	if _, err := c.TakeSnapshot(ctx, srv.URL); err != nil {
		fmt.Println(err)
		return
	}
	snap, err := c.LatestSnapshot(ctx, srv.URL)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer snap.Close()
	var backup bytes.Buffer
	if _, err := io.Copy(&backup, snap); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("revision %d: %s\n", snap.Revision, backup.String())
	// Output: revision 38: what a snapshot holds
}
