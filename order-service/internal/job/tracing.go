package job

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// traceMember is where the trace of the request that planned a job stands in the job's metadata.
const traceMember = "trace"

// Tracing makes every job part of the trace that it was planned in, request id included. The client that inserts and the
// one that works need it both.
func Tracing() []rivertype.Middleware {
	return []rivertype.Middleware{river.JobInsertMiddlewareFunc(remember), river.WorkerMiddlewareFunc(resume)}
}

func remember(ctx context.Context, jobs []*rivertype.JobInsertParams, insert func(context.Context) ([]*rivertype.JobInsertResult, error)) ([]*rivertype.JobInsertResult, error) {
	carrier := propagation.MapCarrier{}
	otel.GetTextMapPropagator().Inject(ctx, carrier)
	if len(carrier) == 0 {
		return insert(ctx)
	}
	for _, j := range jobs {
		metadata := make(map[string]json.RawMessage)
		if len(j.Metadata) > 0 {
			if err := json.Unmarshal(j.Metadata, &metadata); err != nil {
				return nil, fmt.Errorf("read job metadata: %w", err)
			}
		}
		var err error
		if metadata[traceMember], err = json.Marshal(carrier); err == nil {
			j.Metadata, err = json.Marshal(metadata)
		}
		if err != nil {
			return nil, fmt.Errorf("write job metadata: %w", err)
		}
	}
	return insert(ctx)
}

// Context returns ctx with the trace, and the request id, that a job was planned in.
func Context(ctx context.Context, j *rivertype.JobRow) context.Context {
	var metadata map[string]json.RawMessage
	carrier := propagation.MapCarrier{}
	// A job without a trace, or with one that can't be read, starts one of its own.
	if json.Unmarshal(j.Metadata, &metadata) == nil {
		_ = json.Unmarshal(metadata[traceMember], &carrier)
	}
	return otel.GetTextMapPropagator().Extract(ctx, carrier)
}

func resume(ctx context.Context, j *rivertype.JobRow, work func(context.Context) error) error {
	ctx, span := otel.Tracer("shop.example/order-service/internal/job").
		Start(Context(ctx, j), "job "+j.Kind, trace.WithSpanKind(trace.SpanKindConsumer))
	defer span.End()
	err := work(ctx)
	if err != nil {
		span.SetStatus(codes.Error, "the job runs again")
	}
	return err
}
