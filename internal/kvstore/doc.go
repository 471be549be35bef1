// Package kvstore is the store that kvd replicates: keys, values, revisions.
package kvstore
