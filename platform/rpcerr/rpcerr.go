// Package rpcerr carries application errors over gRPC: a status on the way out, the very same error on the way in.
package rpcerr

import (
	"context"
	"errors"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/structpb"

	"shop.example/platform/apperr"
	errorv1 "shop.example/proto/error/v1"
)

// code maps kinds to the codes that gRPC's own tools understand. The kind itself travels in the detail.
var code = map[apperr.Kind]codes.Code{
	apperr.Internal:         codes.Internal,
	apperr.Malformed:        codes.InvalidArgument,
	apperr.Invalid:          codes.InvalidArgument,
	apperr.Unauthenticated:  codes.Unauthenticated,
	apperr.PermissionDenied: codes.PermissionDenied,
	apperr.NotFound:         codes.NotFound,
	apperr.Conflict:         codes.FailedPrecondition,
	apperr.VersionMismatch:  codes.Aborted,
	apperr.PaymentFailed:    codes.FailedPrecondition,
	apperr.TooMany:          codes.ResourceExhausted,
	apperr.Unavailable:      codes.Unavailable,
	apperr.DeadlineExceeded: codes.DeadlineExceeded,
}

// ToStatus returns what a server answers for err: the public part of it, and never the cause.
func ToStatus(err error) *status.Status {
	e := apperr.From(err)
	if e == nil {
		return nil
	}
	s := status.New(code[e.Kind], e.Message)
	detail := &errorv1.ErrorDetail{Kind: e.Kind.String(), Reason: e.Reason, Attributes: toStruct(e.Attributes)}
	for _, v := range e.Violations {
		detail.Violations = append(detail.Violations, &errorv1.Violation{
			Location: v.Location, Message: v.Message, Attributes: toStruct(v.Attributes),
		})
	}
	// It fails only for messages that are not valid UTF-8; the code and the message are worth having even then.
	if detailed, err := s.WithDetails(detail); err == nil {
		return detailed
	}
	return s
}

// FromStatus returns the error that a call failed with, as the application error that it is. One without a detail was not
// sent by one of our handlers: the transport failed, or the services do not fit together.
func FromStatus(err error) error {
	var already *apperr.Error
	if err == nil || errors.As(err, &already) {
		return err
	}
	s := statusOf(err)
	if s == nil {
		return err
	}
	if detail, kind, ok := detailOf(s); ok {
		e := apperr.New(kind, detail.GetReason(), s.Message())
		e.Attributes = fromStruct(detail.GetAttributes())
		for _, v := range detail.GetViolations() {
			e = e.With(apperr.Violation{Location: v.GetLocation(), Message: v.GetMessage(), Attributes: fromStruct(v.GetAttributes())})
		}
		return e
	}
	switch s.Code() {
	case codes.Unavailable:
		return apperr.DependencyUnavailable(err)
	case codes.DeadlineExceeded:
		return apperr.From(context.DeadlineExceeded).Wrap(errors.Join(context.DeadlineExceeded, err))
	case codes.Canceled:
		return apperr.From(context.Canceled).Wrap(errors.Join(context.Canceled, err))
	default:
		// Unimplemented, permission denied by the caller list, resource exhausted by a message that is too long and their
		// like are our own mistakes, not the client's.
		return apperr.New(apperr.Internal, apperr.Internal.DefaultReason(), "Something went wrong on our side.").Wrap(err)
	}
}

// Answered reports whether a call failed with what a handler answered, and not on the way there or back.
func Answered(err error) bool {
	s := statusOf(err)
	if s == nil {
		return false
	}
	_, _, ok := detailOf(s)
	return ok
}

// statusOf returns the status in the chain of err as it was sent, nil if there is none. status.FromError would put the text
// of the errors around it into its message, such as gRPC's "max retries exhausted", and the message is for the public.
func statusOf(err error) *status.Status {
	var carrier interface{ GRPCStatus() *status.Status }
	if !errors.As(err, &carrier) {
		return nil
	}
	return carrier.GRPCStatus()
}

func detailOf(s *status.Status) (*errorv1.ErrorDetail, apperr.Kind, bool) {
	for _, d := range s.Details() {
		if detail, ok := d.(*errorv1.ErrorDetail); ok {
			kind, ok := apperr.ParseKind(detail.GetKind())
			return detail, kind, ok
		}
	}
	return nil, apperr.Internal, false
}

func toStruct(attributes map[string]any) *structpb.Struct {
	if len(attributes) == 0 {
		return nil
	}
	s := &structpb.Struct{Fields: make(map[string]*structpb.Value, len(attributes))}
	for name, value := range attributes {
		switch v := value.(type) {
		case string:
			s.Fields[name] = structpb.NewStringValue(v)
		case bool:
			s.Fields[name] = structpb.NewBoolValue(v)
		case int64:
			// Exact up to 2^53, as far as JSON numbers are.
			s.Fields[name] = structpb.NewNumberValue(float64(v))
		}
	}
	return s
}

func fromStruct(s *structpb.Struct) map[string]any {
	if len(s.GetFields()) == 0 {
		return nil
	}
	attributes := make(map[string]any, len(s.GetFields()))
	for name, value := range s.GetFields() {
		switch v := value.AsInterface().(type) {
		case float64:
			attributes[name] = int64(v)
		default:
			attributes[name] = v
		}
	}
	return attributes
}
