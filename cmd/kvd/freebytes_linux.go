package main

import "syscall"

// freeBytes is what the file system of dir still gives to ordinary users. What it
// keeps for root is not counted, although root could use it.
func freeBytes(dir string) (uint64, error) {
	var st syscall.Statfs_t
	for {
		err := syscall.Statfs(dir, &st)
		if err == syscall.EINTR {
			continue
		}
		return st.Bavail * uint64(st.Bsize), err
	}
}
