package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"

	"github.com/spf13/cobra"

	"kvd/test/daemon"
)

// bareCommand is the hidden command that is the bare handler.
const bareCommand = "bare-handler"

// newBareCommand serves the least that an HTTP server can do: it reads what it
// is sent and answers with the same bytes. What kvd does in relation to it tells
// which part of net/http's speed is left when there is a store behind.
func newBareCommand() *cobra.Command {
	return &cobra.Command{
		Use:    bareCommand + " HOST:PORT",
		Short:  "Be a handler that answers 128 constant bytes",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			l, err := net.Listen("tcp", args[0])
			if err != nil {
				return err
			}
			return http.Serve(l, http.HandlerFunc(answerBare))
		},
	}
}

var bareAnswer = bytes.Repeat([]byte("x"), 128)

func answerBare(w http.ResponseWriter, r *http.Request) {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	_, _ = w.Write(bareAnswer)
}

// bareSystem is one process with the bare handler, however many members are
// asked for.
type bareSystem struct {
	addr string
	p    *daemon.Process
}

func (s *bareSystem) name() string        { return systemBare }
func (s *bareSystem) leader() int         { return 0 }
func (s *bareSystem) endpoints() []string { return []string{s.addr} }

func (s *bareSystem) start(ctx context.Context, dir string, _ int) error {
	if _, err := memberDirs(dir, 0); err != nil {
		return err
	}
	port, err := daemon.FreePort()
	if err != nil {
		return err
	}
	s.addr = fmt.Sprintf("127.0.0.1:%d", port)
	if s.p, err = self("the bare handler", filepath.Join(dir, "bare.log"), bareCommand, s.addr); err != nil {
		return err
	}
	if err := s.p.Start(); err != nil {
		return err
	}
	return s.settle(ctx)
}

func (s *bareSystem) settle(ctx context.Context) error {
	return until(ctx, startLimit, "the bare handler", func(ctx context.Context) error {
		if !s.p.Running() {
			return &daemon.Ended{Member: s.p.Name, Code: s.p.ExitCode(), Tail: s.p.Tail(5)}
		}
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", s.addr)
		if err != nil {
			return err
		}
		return conn.Close()
	})
}

func (s *bareSystem) processes() []process {
	if s.p == nil {
		return nil
	}
	return []process{s.p}
}
