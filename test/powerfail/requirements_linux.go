package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
)

// requirements says what is missing to run at all.
func requirements(c config) []string {
	var missing []string
	if os.Geteuid() != 0 {
		missing = append(missing, "root: file systems are mounted, and their power cut")
	}
	known, err := os.ReadFile("/proc/filesystems")
	if err != nil {
		missing = append(missing, "/proc: "+err.Error())
	}
	for _, fs := range c.fs {
		if _, err := exec.LookPath(mkfs[fs][0]); err != nil {
			missing = append(missing, fmt.Sprintf("%s: apt-get install %s (or: --fs without %s)", mkfs[fs][0], debian[fs], fs))
		}
		if !bytes.Contains(known, []byte("\t"+fs+"\n")) && exec.Command("modprobe", "-q", fs).Run() != nil {
			missing = append(missing, fmt.Sprintf("the kernel's %s: it is neither built in nor a module", fs))
		}
	}
	if _, err := os.Stat("/dev/loop-control"); err != nil {
		if exec.Command("modprobe", "-q", "loop").Run() != nil {
			missing = append(missing, "the kernel's loop devices: "+err.Error())
		}
	}
	if _, err := os.Stat(c.kvd); err != nil {
		missing = append(missing, fmt.Sprintf("the binary: %v (make build)", err))
	}
	return missing
}
