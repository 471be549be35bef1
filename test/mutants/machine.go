package main

import (
	"os"
	"os/exec"
	"runtime"
	"strings"
)

// commands are what the programs of a layer call.
var commands = map[Layer][]string{
	Power: {"mkfs.ext4", "mkfs.xfs"},
	Chaos: {"ip", "iptables", "tc", "ss", "mount", "mkfs.ext4", "strace"},
}

// lacks says what a layer needs and this machine does not have; "": nothing.
func (l Layer) lacks() string {
	if !l.isProgram() {
		return ""
	}
	var missing []string
	if runtime.GOOS != "linux" {
		missing = append(missing, "Linux")
	}
	if os.Geteuid() != 0 {
		missing = append(missing, "root")
	}
	for _, name := range commands[l] {
		if _, err := exec.LookPath(name); err != nil {
			missing = append(missing, name)
		}
	}
	return strings.Join(missing, ", ")
}
