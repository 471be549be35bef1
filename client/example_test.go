package client_test

import (
	"context"
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
