// Package daemon runs members of kvd as child processes, for the programs that
// try it for long (powerfail and soak), and finds ports for all that start some.
// It knows kvd as a user does: by its flags, its HTTP API and its exit codes. Each
// process belongs to its Member, which ends it by its id; all end when the program
// does, however that ends.
package daemon
