package main

import (
	"bufio"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"
)

// machine is where it was measured.
type machine struct {
	System      string `json:"system"`
	CPU         string `json:"cpu"`
	Cores       int    `json:"cores"`
	MemoryBytes uint64 `json:"memory_bytes"`
}

// versions are those of what was measured.
type versions struct {
	Go   string `json:"go"`
	Kvd  string `json:"kvd"`
	Etcd string `json:"etcd"`
}

func thisMachine() machine {
	m := machine{System: runtime.GOOS + "/" + runtime.GOARCH, Cores: runtime.NumCPU()}
	if f, err := os.Open("/proc/cpuinfo"); err == nil {
		defer f.Close()
		for lines := bufio.NewScanner(f); lines.Scan(); {
			if name, v, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(name) == "model name" {
				m.CPU = strings.TrimSpace(v)
				break
			}
		}
	}
	var info syscall.Sysinfo_t
	if syscall.Sysinfo(&info) == nil {
		m.MemoryBytes = info.Totalram * uint64(info.Unit)
	}
	return m
}

// theVersions asks the binary of kvd and this one.
func theVersions(kvdBinary string) (versions, error) {
	v := versions{Go: runtime.Version()}
	out, err := exec.Command(kvdBinary, "version").Output()
	if err != nil {
		return v, err
	}
	v.Kvd = strings.TrimSpace(string(out))
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, d := range info.Deps {
			if d.Path == "go.etcd.io/etcd/server/v3" {
				v.Etcd = d.Version
			}
		}
	}
	return v, nil
}

// commit is the one that is checked out, marked if files differ from it.
func commit() string {
	out, err := exec.Command("git", "describe", "--always", "--dirty", "--abbrev=12").Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}
