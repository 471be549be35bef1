package main

import (
	"io"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// sinkBytes is how much log may wait for a slow reader: some 5,000 lines.
const sinkBytes = 1 << 20

// newLogger returns a logger to w, and the function that ends it: it waits for
// the lines still on their way, within bounds.
func newLogger(w io.Writer, level zapcore.Level, format string) (*zap.Logger, func()) {
	enc := newEncoder(format)
	s := newSink(w, sinkBytes, func(n uint64) []byte {
		entry := zapcore.Entry{Level: zapcore.WarnLevel, Time: time.Now(), LoggerName: "log", Message: "lines dropped because nobody read stderr"}
		buf, err := enc.EncodeEntry(entry, []zapcore.Field{zap.Uint64("dropped", n)})
		if err != nil {
			return nil
		}
		return buf.Bytes()
	})
	lg := zap.New(zapcore.NewCore(enc, s, level), zap.ErrorOutput(s))
	return lg, func() { s.close(stderrPatience) }
}

// newEncoder writes one line an entry: JSON for programs, columns for people.
func newEncoder(format string) zapcore.Encoder {
	cfg := zapcore.EncoderConfig{
		TimeKey: "time", LevelKey: "level", NameKey: "logger", MessageKey: "msg",
		EncodeTime:     zapcore.RFC3339NanoTimeEncoder,
		EncodeLevel:    zapcore.LowercaseLevelEncoder,
		EncodeDuration: zapcore.StringDurationEncoder,
		EncodeName:     zapcore.FullNameEncoder,
	}
	if format == "json" {
		return zapcore.NewJSONEncoder(cfg)
	}
	cfg.EncodeTime = zapcore.TimeEncoderOfLayout("2006-01-02T15:04:05.000Z07:00")
	cfg.EncodeLevel = zapcore.CapitalLevelEncoder
	cfg.ConsoleSeparator = " "
	return zapcore.NewConsoleEncoder(cfg)
}
