package raftnode

import (
	"encoding/json"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// TestPublishAnothersAddress: a member that tells a peer URL of another is
// refused by name, and writes nothing to the log, however often it asks. It
// says so once, and moves when the address is free.
func TestPublishAnothersAddress(t *testing.T) {
	synctest.Test(t, testPublishAnothersAddress)
}

func testPublishAnothersAddress(t *testing.T) {
	const other = "http://127.0.0.1:2"
	dir := t.TempDir()
	d, err := OpenDisk(dir, nil)
	must(t, err)
	n, stop := start(t, singleConfig(), newTestMachine(), d)
	ctx := within(t, 30*time.Second)
	must(t, n.ReadBarrier(ctx))
	_, err = n.AddMember(ctx, Member{ID: 12, PeerURL: other})
	must(t, err)

	told := func(url string) error {
		t.Helper()
		b, err := json.Marshal(Member{ID: 12, Name: "twelve", PeerURL: url})
		must(t, err)
		answer, err := n.HandleForward(ctx, 12, append([]byte{forwardPublish}, b...))
		must(t, err)
		var r remoteError
		must(t, json.Unmarshal(answer, &r))
		return r.err()
	}
	if err := told(singleConfig().PeerURL + "/"); !errors.Is(err, ErrMemberExists) {
		t.Errorf("another's peer URL: %v, want %v", err, ErrMemberExists)
	}
	if err := told("nonsense"); !errors.Is(err, ErrBadMember) {
		t.Errorf("no URL: %v, want %v", err, ErrBadMember)
	}
	must(t, told(other))
	time.Sleep(time.Second)
	if mb := n.members.Load().Members[12]; mb.Name != "twelve" || !mb.Started {
		t.Errorf("after its own peer URL: %+v", mb)
	}
	must(t, stop())
	kill(d)

	d, err = OpenDisk(dir, nil)
	must(t, err)
	defer d.Close()
	logged, messages := observer.New(zap.WarnLevel)
	cfg := singleConfig()
	cfg.PeerURL, cfg.Founders, cfg.Logger = other, nil, zap.New(logged)
	n, stop = start(t, cfg, newTestMachine(), d)
	defer stop()
	must(t, n.ReadBarrier(ctx))
	time.Sleep(time.Second)
	before := n.applied.index.Load()
	time.Sleep(5 * time.Second)
	if after := n.applied.index.Load(); after != before || messages.Len() != 1 {
		t.Errorf("%d entries and the messages %v, want none and one", after-before, messages.All())
	}
	must(t, n.RemoveMember(ctx, 12, false))
	time.Sleep(time.Second)
	if mb := n.members.Load().Members[testID.Member]; mb.PeerURL != other || !n.ready.Load() {
		t.Errorf("the address is free: %+v, ready %v", mb, n.ready.Load())
	}
}
