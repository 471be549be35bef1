package main

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"kvd/internal/raftnode"
)

const testURLs = "http://127.0.0.1:12379,http://127.0.0.1:22379,http://127.0.0.1:32379"

func TestOwnerOfDataDirectory(t *testing.T) {
	begin := foundedBy(t, 1, testURLs)
	ours := begin.cluster()
	moved := strings.Replace(testURLs, "127.0.0.1:22379", "127.0.0.1:9", 1)
	tests := []struct {
		name  string
		owner raftnode.Identity
		begin *founding
		args  []string
		want  []string // in the refusal; nil: accepted
	}{
		{"nothing asked for", raftnode.Identity{Cluster: 7, Member: 4, Name: "db4"}, nil, nil, nil},
		{"the same", raftnode.Identity{Cluster: ours, Member: 2, Name: "n2"}, begin, []string{"--id", "2", "--name", "n2", "--cluster", testURLs}, nil},
		{"the same, in another order", raftnode.Identity{Cluster: ours, Member: 1, Name: "n1"}, begin,
			[]string{"--cluster", "3=http://127.0.0.1:32379,1=http://127.0.0.1:12379,2=http://127.0.0.1:22379"}, nil},
		{"a founder has moved", raftnode.Identity{Cluster: ours, Member: 2, Name: "n2"}, begin, []string{"--id", "2", "--cluster", moved}, nil},
		{"another id", raftnode.Identity{Cluster: 7, Member: 4, Name: "db4"}, nil, []string{"--id", "5"},
			[]string{"belongs to member 4 (db4) of cluster 0000000000000007", "--id asks for member 5", "start it with --id 4", "another --data-dir"}},
		{"another id by place", raftnode.Identity{Cluster: ours, Member: 2, Name: "n2"}, begin, []string{"--cluster", testURLs}, []string{"--id asks for member 1"}},
		{"another name", raftnode.Identity{Cluster: 7, Member: 4, Name: "db4"}, nil, []string{"--name", "db5"}, []string{"--name asks for db5", "--name db4"}},
		{"more founders", raftnode.Identity{Cluster: ours, Member: 1, Name: "n1"}, begin, []string{"--cluster", testURLs + ",http://127.0.0.1:4"},
			[]string{"not the list that it was founded with, 1=http://127.0.0.1:12379,2=", "or no --cluster"}},
		{"other founders", raftnode.Identity{Cluster: ours, Member: 1, Name: "n1"}, begin, []string{"--cluster", "http://127.0.0.1:1,http://127.0.0.1:2,http://127.0.0.1:3"},
			[]string{"not the list that it was founded with"}},
		{"no founder", raftnode.Identity{Cluster: 7, Member: 1, Name: "n1"}, nil, []string{"--cluster", testURLs}, []string{"was no founder", "start it with no --cluster"}},
		{"everything else", raftnode.Identity{Cluster: 7, Member: 4, Name: "db4"}, nil, []string{"--id", "2", "--name", "n2", "--cluster", testURLs},
			[]string{"member 2", "n2", "was no founder"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := configOf(t, tt.args...)
			err := checkOwner(cfg, tt.owner, tt.begin)
			if tt.want != nil {
				wantExit(t, err, exitDataDir, append(tt.want, cfg.DataDir)...)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
}

func TestJoinOnUsedDirectory(t *testing.T) {
	f := newFakeMember(t, threeMembers...)
	cfg := joinConfig(t, f.URL)
	seeds, err := checkJoined(t.Context(), cfg, raftnode.Identity{Cluster: testCluster, Member: 2})
	if want := map[uint64]string{1: "http://127.0.0.1:12379"}; err != nil || !reflect.DeepEqual(seeds, want) {
		t.Errorf("same cluster: seeds %v, %v; want %v", seeds, err, want)
	}
	_, err = checkJoined(t.Context(), cfg, raftnode.Identity{Cluster: 7, Member: 2})
	wantExit(t, err, exitDataDir, "of cluster 0000000000000007", "--join "+f.URL+" is cluster 0123456789abcdef")
	f.Close()
	if _, err := checkJoined(t.Context(), cfg, raftnode.Identity{Cluster: 7, Member: 2}); err != nil {
		t.Errorf("nobody answers: %v, want the directory to be believed", err)
	}
	if len(f.posted) > 0 {
		t.Errorf("posted %+v, want nothing", f.posted)
	}
}

func TestExistingDirectoryWithoutLog(t *testing.T) {
	three, alone := foundedBy(t, 1, testURLs), foundedBy(t, 1, "http://127.0.0.1:12379")
	tests := []struct {
		name    string
		cluster uint64
		begin   *founding
		args    []string
	}{
		{"founded with others", three.cluster(), three, []string{"--cluster", testURLs}},
		{"founded alone", alone.cluster(), alone, nil},
		{"joined", 7, nil, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tell := &foundingHandler{}
			from, err := resumeOrigin(t.Context(), configOf(t, tt.args...), raftnode.Identity{Cluster: tt.cluster, Member: 1, Name: "n1"}, tt.begin, tell)
			if err != nil {
				t.Fatal(err)
			}
			doc := tell.doc.Load()
			if doc.Member != 1 || doc.Cluster != formatClusterID(tt.cluster) {
				t.Errorf("tells %+v", doc)
			}
			if tt.begin == nil {
				if len(from.founders) > 0 || doc.Founders != nil {
					t.Errorf("founders = %v, tells %v; want none", from.founders, doc.Founders)
				}
			} else if !reflect.DeepEqual(from.founders, tt.begin.nodeFounders()) || len(doc.Tokens) != len(from.founders) {
				t.Errorf("founders = %v, tells %+v", from.founders, doc)
			}
		})
	}
}

// foundedBy is a founding of all of a list, as member remembers it.
func foundedBy(t *testing.T, member uint64, list string) *founding {
	t.Helper()
	founders, err := parseCluster(list)
	if err != nil {
		t.Fatal(err)
	}
	f := newFounding(member, founders)
	for _, m := range founders {
		f.Tokens[m.ID] = fmt.Sprint("token", m.ID)
	}
	return f
}
