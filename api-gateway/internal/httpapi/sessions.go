package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	userv1 "shop.example/proto/user/v1"
)

// Session is a place where a user is signed in.
type Session struct {
	ID         string    `json:"id" format:"uuid"`
	UserAgent  string    `json:"user_agent" doc:"What the client called itself when it was last seen."`
	IP         string    `json:"ip" doc:"Where the client was last seen."`
	CreatedAt  time.Time `json:"created_at"`
	LastUsedAt time.Time `json:"last_used_at"`
	ExpiresAt  time.Time `json:"expires_at" doc:"When it is over unless it is used before."`
	Current    bool      `json:"current" doc:"Whether it is the session that this request is made with."`
}

type listSessionsOutput struct{ Body Page[Session] }

func (s *Server) registerSessions() {
	tags, path := []string{"identity"}, base+"/users/me/sessions"
	register(s, huma.Operation{
		OperationID: "list-sessions", Method: http.MethodGet, Path: path,
		Summary: "Where I am signed in, newest first", Tags: tags,
	}, s.listSessions)
	register(s, huma.Operation{
		OperationID: "end-other-sessions", Method: http.MethodDelete, Path: path, DefaultStatus: http.StatusNoContent,
		Summary: "Sign out everywhere else", Tags: tags,
		Description: "All my sessions end but the one that this request is made with. Their tokens stop working within 5 seconds.",
	}, s.endOtherSessions)
	register(s, huma.Operation{
		OperationID: "end-session", Method: http.MethodDelete, Path: path + "/{id}", DefaultStatus: http.StatusNoContent,
		Summary: "Sign out of one session", Tags: tags,
		Description: "Its tokens stop working within 5 seconds. A session that is over is 404.",
	}, s.endSession)
}

func (s *Server) listSessions(ctx context.Context, in *Paging) (*listSessionsOutput, error) {
	answer, err := s.services.Auth.ListSessions(ctx, &userv1.ListSessionsRequest{
		PageSize: in.PageSize, PageToken: in.PageToken, IncludeTotal: in.IncludeTotal,
	})
	if err != nil {
		return nil, err
	}
	return &listSessionsOutput{Body: Page[Session]{
		Items: convertAll(answer.GetSessions(), sessionOf), NextPageToken: answer.GetNextPageToken(), TotalSize: answer.TotalSize,
	}}, nil
}

func (s *Server) endOtherSessions(ctx context.Context, _ *noInput) (*noOutput, error) {
	_, err := s.services.Auth.EndOtherSessions(ctx, &userv1.EndOtherSessionsRequest{})
	return &noOutput{}, err
}

func (s *Server) endSession(ctx context.Context, in *ByID) (*noOutput, error) {
	_, err := s.services.Auth.EndSession(ctx, &userv1.EndSessionRequest{SessionId: in.ID})
	return &noOutput{}, err
}

func sessionOf(s *userv1.Session) Session {
	return Session{
		ID: s.GetId(), UserAgent: s.GetDevice().GetUserAgent(), IP: s.GetDevice().GetIp(),
		CreatedAt: instant(s.GetOpenedAt()), LastUsedAt: instant(s.GetLastUsedAt()), ExpiresAt: instant(s.GetExpiresAt()), Current: s.GetCurrent(),
	}
}
