package logging_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/trace"

	"shop.example/platform/auth"
	"shop.example/platform/logging"
)

const (
	traceID = "0102030405060708090a0b0c0d0e0f10"
	spanID  = "0102030405060708"
)

// fullContext carries everything that a log line may take from a context.
func fullContext(t *testing.T) context.Context {
	t.Helper()
	tid, err := trace.TraceIDFromHex(traceID)
	if err != nil {
		t.Fatal(err)
	}
	sid, err := trace.SpanIDFromHex(spanID)
	if err != nil {
		t.Fatal(err)
	}
	ctx := trace.ContextWithSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{TraceID: tid, SpanID: sid}))
	member, err := baggage.NewMember(logging.RequestIDMember, "req-1")
	if err != nil {
		t.Fatal(err)
	}
	bag, err := baggage.New(member)
	if err != nil {
		t.Fatal(err)
	}
	ctx = baggage.ContextWithBaggage(ctx, bag)
	return auth.NewContext(ctx, auth.Principal{UserID: "user-1"})
}

func TestLogLine(t *testing.T) {
	t.Parallel()
	ids := map[string]any{"trace_id": traceID, "span_id": spanID, "request_id": "req-1", "user_id": "user-1"}
	tests := []struct {
		name string
		log  func(*slog.Logger)
		want map[string]any // besides level, msg, service and time
	}{
		{
			name: "without context",
			log:  func(l *slog.Logger) { l.Info("hello", "n", 1) },
			want: map[string]any{"n": 1.0},
		},
		{
			name: "with everything in the context",
			log:  func(l *slog.Logger) { l.InfoContext(fullContext(t), "hello") },
			want: ids,
		},
		{
			name: "ids stay at the top level beside a group",
			log: func(l *slog.Logger) {
				l.With("a", 1).WithGroup("g").With("b", 2).WithGroup("").InfoContext(fullContext(t), "hello", "c", 3)
			},
			want: merged(ids, map[string]any{"a": 1.0, "g": map[string]any{"b": 2.0, "c": 3.0}}),
		},
		{
			name: "secrets are redacted, also in groups",
			log: func(l *slog.Logger) {
				l.Info("hello", "Password", "hunter2", slog.Group("g", "refresh_token", "abc"))
			},
			want: map[string]any{"Password": "[redacted]", "g": map[string]any{"refresh_token": "[redacted]"}},
		},
		{
			name: "durations can be read",
			log:  func(l *slog.Logger) { l.Info("hello", "took", 1500*time.Millisecond) },
			want: map[string]any{"took": "1.5s"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			tt.log(logging.New(&out, "order-service", slog.LevelInfo))

			var got map[string]any
			if err := json.Unmarshal(out.Bytes(), &got); err != nil {
				t.Fatalf("the line is not one JSON object: %v: %s", err, &out)
			}
			at, err := time.Parse(time.RFC3339Nano, got["time"].(string))
			if err != nil || at.Location() != time.UTC {
				t.Errorf("time = %v, want RFC 3339 in UTC", got["time"])
			}
			delete(got, "time")
			want := merged(tt.want, map[string]any{"level": "INFO", "msg": "hello", "service": "order-service"})
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("record (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLevel(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	level := new(slog.LevelVar)
	level.Set(slog.LevelWarn)
	log := logging.New(&out, "s", level)
	log.Info("dropped")
	if out.Len() != 0 {
		t.Errorf("a record below the level was written: %s", &out)
	}
	level.Set(slog.LevelInfo) // the level can be changed while running
	log.Info("kept")
	if out.Len() == 0 {
		t.Error("a record at the level was dropped")
	}
}

// A logger derived twice from one parent must not share what the children add.
func TestSiblingsDoNotMix(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	parent := logging.New(&out, "s", slog.LevelInfo).WithGroup("g").With("p", 1)
	first, second := parent.With("first", 1), parent.With("second", 2)
	first.Info("one")
	second.Info("two")

	var got []any
	for dec := json.NewDecoder(&out); dec.More(); {
		var line map[string]any
		if err := dec.Decode(&line); err != nil {
			t.Fatal(err)
		}
		got = append(got, line["g"])
	}
	want := []any{map[string]any{"p": 1.0, "first": 1.0}, map[string]any{"p": 1.0, "second": 2.0}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("groups (-want +got):\n%s", diff)
	}
}

func merged(maps ...map[string]any) map[string]any {
	all := map[string]any{}
	for _, m := range maps {
		for k, v := range m {
			all[k] = v
		}
	}
	return all
}
