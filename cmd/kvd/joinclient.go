package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

// joinRequestTimeout bounds one request to the cluster. Adding a member waits
// for a commit, so it is longer than an election.
const joinRequestTimeout = 10 * time.Second

// joinClient speaks to a member of the cluster that this one enters. Proxies
// and redirects are for clients: a member says itself where it is.
type joinClient struct {
	base string // the member's client URL
	http *http.Client
}

func newJoinClient(base string) *joinClient {
	return &joinClient{base: base, http: &http.Client{
		Transport:     &http.Transport{Proxy: nil, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// The parts of the API's documents that a joining member reads and writes.
type (
	statusDocument struct {
		ClusterID string `json:"cluster_id"`
	}
	memberDocument struct {
		ID        uint64 `json:"id"`
		Name      string `json:"name"`
		PeerURL   string `json:"peer_url"`
		ClientURL string `json:"client_url"`
		Started   bool   `json:"started"` // it has run, with a data directory of its own
	}
	newMemberDocument struct {
		ID          uint64 `json:"id,omitempty"` // 0: the cluster chooses
		Name        string `json:"name,omitempty"`
		PeerURL     string `json:"peer_url"`
		ClientURL   string `json:"client_url"`
		AutoPromote bool   `json:"auto_promote"`
	}
)

// apiError is a problem document, or what stood in its place.
type apiError struct {
	Status int    `json:"status"`
	Code   string `json:"code"`
	Detail string `json:"detail"`
	Title  string `json:"title"`
}

func (e *apiError) Error() string {
	text := fmt.Sprintf("answered %d", e.Status)
	if e.Code != "" {
		text += " " + e.Code
	}
	if detail := e.Detail; detail != "" {
		text += ": " + detail
	} else if e.Title != "" {
		text += ": " + e.Title
	}
	return text
}

// status asks the member which cluster it belongs to. It needs no quorum.
func (c *joinClient) status(ctx context.Context) (cluster uint64, err error) {
	var doc statusDocument
	if err := c.do(ctx, http.MethodGet, "/v1/status", nil, http.StatusOK, &doc); err != nil {
		return 0, err
	}
	return parseClusterID(doc.ClusterID)
}

// members lists the cluster.
func (c *joinClient) members(ctx context.Context) ([]memberDocument, error) {
	var docs []memberDocument
	err := c.do(ctx, http.MethodGet, "/v1/members", nil, http.StatusOK, &docs)
	return docs, err
}

// add enters a member as a learner and returns it with its id.
func (c *joinClient) add(ctx context.Context, m newMemberDocument) (memberDocument, error) {
	var added memberDocument
	body, err := json.Marshal(m)
	if err != nil {
		return added, err
	}
	err = c.do(ctx, http.MethodPost, "/v1/members", body, http.StatusCreated, &added)
	return added, err
}

// do sends one request and decodes the answer. Any other status than want is
// an apiError.
func (c *joinClient) do(ctx context.Context, method, path string, body []byte, want int, into any) error {
	ctx, cancel := context.WithTimeout(ctx, joinRequestTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return err
	}
	if resp.StatusCode != want {
		e := &apiError{}
		_ = json.Unmarshal(answer, e) // what is no problem document has a status all the same
		e.Status = resp.StatusCode
		return e
	}
	if err := json.Unmarshal(answer, into); err != nil {
		return &apiError{Status: resp.StatusCode, Detail: fmt.Sprintf("%s %s is not what kvd answers (%v)", method, path, err)}
	}
	return nil
}
