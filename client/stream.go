package client

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"
)

// errSilent ends an attempt or a stream from which nothing comes.
var errSilent = errors.New("the member is silent")

// stream is an answer that is read as it comes. Nothing runs in the background:
// while nobody reads, nobody loses patience either.
type stream struct {
	header   http.Header
	limit    int64 // of one piece, for its readers
	body     io.ReadCloser
	ctx      context.Context
	cancel   context.CancelCauseFunc
	timer    *time.Timer // cancels with errSilent
	patience time.Duration
}

// open sends the call once, and returns the answer when it begins well. The
// stream ends by close, with ctx, or when nothing came for patience.
func (t *tries) open(ctx context.Context, patience time.Duration) (*stream, *Error) {
	ctx, cancel := context.WithCancelCause(ctx)
	timer := time.AfterFunc(t.limit(), func() { cancel(errSilent) })
	res, e := t.send(ctx)
	if e == nil && (res.StatusCode != http.StatusOK || mediaType(res.Header.Get("Content-Type")) != t.call.get("Accept")) {
		if _, e = t.read(res); e == nil {
			e = t.call.badAnswer(res.StatusCode, errors.New("not what was asked for"))
			e.Endpoint = t.endpoint()
		}
	}
	timer.Stop()
	if e != nil {
		if context.Cause(ctx) == errSilent {
			e.Err = errSilent
		}
		cancel(nil)
		return nil, e
	}
	t.stay()
	return &stream{res.Header, t.c.cfg.MaxAnswerBytes, res.Body, ctx, cancel, timer, patience}, nil
}

// Read reads of the body, with patience.
func (s *stream) Read(p []byte) (int, error) {
	s.timer.Reset(s.patience)
	n, err := s.body.Read(p)
	s.timer.Stop()
	if err != nil && err != io.EOF && context.Cause(s.ctx) == errSilent {
		err = errSilent
	}
	return n, err
}

// close ends the stream, wherever it stands.
func (s *stream) close() {
	s.timer.Stop()
	s.cancel(nil)
	_ = s.body.Close()
}
