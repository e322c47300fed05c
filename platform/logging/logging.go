// Package logging builds the one logger of a process: JSON lines in which every record says which service wrote it and,
// when the context knows, for which trace, request and user.
package logging

import (
	"context"
	"io"
	"log/slog"
	"slices"
	"strings"

	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/trace"

	"shop.example/platform/auth"
)

// RequestIDMember is the baggage member in which the gateway sends the request id to every service behind it.
const RequestIDMember = "request_id"

// New returns a logger that writes one JSON object per line to w. Records below level are dropped.
//
// Use the methods that take a context (InfoContext …) wherever there is one: the ids come from it. They stand at the top
// level of the object, also for a logger made by WithGroup, so that a search for a trace_id finds every line.
func New(w io.Writer, service string, level slog.Leveler) *slog.Logger {
	base := slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: replaceAttr})
	return slog.New(&handler{base: base.WithAttrs([]slog.Attr{slog.String("service", service)})})
}

// handler adds what the context knows. base has no open group; what was added after WithGroup waits in inGroup and is
// applied per record, after the ids, which would otherwise land inside the group.
type handler struct {
	base    slog.Handler
	inGroup []func(slog.Handler) slog.Handler
}

func (h *handler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.base.Enabled(ctx, level)
}

func (h *handler) Handle(ctx context.Context, r slog.Record) error {
	attrs := contextAttrs(ctx)
	if len(h.inGroup) == 0 {
		r.AddAttrs(attrs...)
		return h.base.Handle(ctx, r)
	}
	next := h.base.WithAttrs(attrs)
	for _, apply := range h.inGroup {
		next = apply(next)
	}
	return next.Handle(ctx, r)
}

func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	if len(h.inGroup) == 0 {
		return &handler{base: h.base.WithAttrs(attrs)}
	}
	return h.then(func(next slog.Handler) slog.Handler { return next.WithAttrs(attrs) })
}

func (h *handler) WithGroup(name string) slog.Handler {
	if name == "" { // the contract of slog.Handler: an empty name opens no group
		return h
	}
	return h.then(func(next slog.Handler) slog.Handler { return next.WithGroup(name) })
}

func (h *handler) then(apply func(slog.Handler) slog.Handler) *handler {
	return &handler{base: h.base, inGroup: append(slices.Clip(h.inGroup), apply)}
}

func contextAttrs(ctx context.Context) []slog.Attr {
	if ctx == nil { // slog itself tolerates a nil context
		return nil
	}
	attrs := make([]slog.Attr, 0, 4)
	if span := trace.SpanContextFromContext(ctx); span.IsValid() {
		attrs = append(attrs,
			slog.String("trace_id", span.TraceID().String()),
			slog.String("span_id", span.SpanID().String()))
	}
	if id := baggage.FromContext(ctx).Member(RequestIDMember).Value(); id != "" {
		attrs = append(attrs, slog.String("request_id", id))
	}
	if p, ok := auth.FromContext(ctx); ok && p.UserID != "" {
		attrs = append(attrs, slog.String("user_id", p.UserID))
	}
	return attrs
}

// secretKeys are attribute names whose values never reach a log, whoever logs them. This is the second net: code should not
// pass them to a logger at all.
var secretKeys = map[string]bool{
	"password": true, "new_password": true, "current_password": true,
	"token": true, "access_token": true, "refresh_token": true, "reset_token": true, "authorization": true,
	"secret": true, "api_key": true, "signing_key": true, "card_number": true, "cvc": true,
	"database_url": true, "redis_url": true,
}

func replaceAttr(groups []string, a slog.Attr) slog.Attr {
	if secretKeys[strings.ToLower(a.Key)] {
		return slog.String(a.Key, "[redacted]")
	}
	switch a.Value.Kind() {
	case slog.KindTime: // one time zone in all logs, wherever a process runs
		return slog.Time(a.Key, a.Value.Time().UTC())
	case slog.KindDuration: // nanoseconds, the default, are read wrong by everybody
		return slog.String(a.Key, a.Value.Duration().String())
	}
	return a
}
