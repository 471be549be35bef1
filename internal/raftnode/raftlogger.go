package raftnode

import (
	"fmt"

	"go.uber.org/zap"
)

// raftLogger gives raft's library a zap logger. What raft calls information is
// detail here: the node itself logs changes of leader and membership.
type raftLogger struct{ *zap.SugaredLogger }

func newRaftLogger(lg *zap.Logger) raftLogger {
	return raftLogger{lg.Named("raft").WithOptions(zap.AddCallerSkip(1)).Sugar()}
}

func (l raftLogger) Info(v ...any)                    { l.SugaredLogger.Debug(v...) }
func (l raftLogger) Infof(format string, v ...any)    { l.SugaredLogger.Debugf(format, v...) }
func (l raftLogger) Warning(v ...any)                 { l.SugaredLogger.Warn(v...) }
func (l raftLogger) Warningf(format string, v ...any) { l.SugaredLogger.Warnf(format, v...) }

// raftPanic is what raft's library says before it gives up.
type raftPanic string

// Fatal and Panic must not return: raft's invariants are broken. The loop makes
// an error of it, since only package main may exit the process.
func (l raftLogger) Fatal(v ...any)                 { panic(raftPanic(fmt.Sprint(v...))) }
func (l raftLogger) Fatalf(format string, v ...any) { panic(raftPanic(fmt.Sprintf(format, v...))) }
func (l raftLogger) Panic(v ...any)                 { panic(raftPanic(fmt.Sprint(v...))) }
func (l raftLogger) Panicf(format string, v ...any) { panic(raftPanic(fmt.Sprintf(format, v...))) }
