package rpc_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	"shop.example/order-service/internal/domain"
	"shop.example/order-service/internal/usecase"
	"shop.example/platform/apperr"
	"shop.example/platform/auth"
	"shop.example/platform/grpcserver"
	orderv1 "shop.example/proto/order/v1"
)

// found stores an open finding of an order.
func (s *service) found(t *testing.T, kind domain.FindingKind, order uuid.UUID, repairable bool) domain.Finding {
	t.Helper()
	f, err := domain.Suspect(domain.Discrepancy{Kind: kind, OrderID: order, Reference: order.String(), Detail: "It is so.", Repairable: repairable},
		time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	f.Status, f.LastSeenAt = domain.FindingOpen, f.FirstSeenAt.Add(time.Minute)
	if err := s.store.Watch(t.Context(), f.Kind, f.Reference, func(*domain.Finding) (*domain.Finding, error) { return &f, nil }); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestFindings(t *testing.T) {
	t.Parallel()
	s := setup(t)
	_, ctx := s.user(t, auth.Admin)
	client := orderv1.NewAuditServiceClient(s.dial(t, grpcserver.Gateway))

	// Pieces that are promised to nobody, and an order that has lost its pieces.
	nobody := uuid.New()
	if err := s.stock.Reserve(t.Context(), nobody, 1, []usecase.Line{{ProductID: s.cup, Quantity: 1}}, 10*time.Hour); err != nil {
		t.Fatal(err)
	}
	first := s.found(t, domain.ReservationWithoutOrder, nobody, true)
	stranger := s.found(t, domain.CaptureWithoutOrder, uuid.Nil, false)
	want := []*orderv1.Finding{
		{
			Id: stranger.ID.String(), Kind: orderv1.FindingKind_FINDING_KIND_CAPTURE_WITHOUT_ORDER, Reference: uuid.Nil.String(), Detail: "It is so.",
			Status: orderv1.FindingStatus_FINDING_STATUS_OPEN, FirstSeenAt: timestamppb.New(first.FirstSeenAt), LastSeenAt: timestamppb.New(first.LastSeenAt),
		},
		{
			Id: first.ID.String(), Kind: orderv1.FindingKind_FINDING_KIND_RESERVATION_WITHOUT_ORDER, OrderId: nobody.String(), Reference: nobody.String(),
			Detail: "It is so.", Repairable: true, Status: orderv1.FindingStatus_FINDING_STATUS_OPEN,
			FirstSeenAt: timestamppb.New(first.FirstSeenAt), LastSeenAt: timestamppb.New(first.LastSeenAt),
		},
	}
	list := func(req *orderv1.ListFindingsRequest, want ...*orderv1.Finding) {
		t.Helper()
		got, err := client.ListFindings(ctx, req)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got.GetFindings(), protocmp.Transform()); diff != "" {
			t.Errorf("%v (-want +got):\n%s", req, diff)
		}
	}
	list(&orderv1.ListFindingsRequest{}, want...)
	list(&orderv1.ListFindingsRequest{Status: orderv1.FindingStatus_FINDING_STATUS_OPEN}, want...)
	list(&orderv1.ListFindingsRequest{Status: orderv1.FindingStatus_FINDING_STATUS_REPAIRED})
	list(&orderv1.ListFindingsRequest{Kind: orderv1.FindingKind_FINDING_KIND_CAPTURE_WITHOUT_ORDER}, want[0])
	page, err := client.ListFindings(ctx, &orderv1.ListFindingsRequest{PageSize: 1, IncludeTotal: true})
	if err != nil || page.GetTotalSize() != 2 || len(page.GetFindings()) != 1 {
		t.Fatalf("%v, error %v", page, err)
	}
	list(&orderv1.ListFindingsRequest{PageSize: 1, PageToken: page.GetNextPageToken()}, want[1])

	for range 2 {
		repaired, err := client.RepairFinding(ctx, &orderv1.RepairFindingRequest{FindingId: first.ID.String()})
		if err != nil {
			t.Fatal(err)
		}
		got := repaired.GetFinding()
		if got.GetStatus() != orderv1.FindingStatus_FINDING_STATUS_REPAIRED || got.GetResolvedAt() == nil || got.GetRepairable() || got.GetId() != first.ID.String() {
			t.Errorf("repaired: %v", got)
		}
	}
	if got := s.stock.State(nobody); got != "released" {
		t.Errorf("the reservation is %s", got)
	}
	_, err = client.RepairFinding(ctx, &orderv1.RepairFindingRequest{FindingId: uuid.NewString()})
	wantError(t, "one that there is not", err, apperr.NotFound, "not_found")
	_, err = client.RepairFinding(ctx, &orderv1.RepairFindingRequest{FindingId: "x"})
	wantError(t, "no id", err, apperr.Invalid, "validation_failed")
	for _, role := range []auth.Role{auth.Customer, auth.Staff} {
		_, ctx := s.user(t, role)
		_, err := client.ListFindings(ctx, &orderv1.ListFindingsRequest{})
		wantError(t, "listed by "+string(role), err, apperr.PermissionDenied, "permission_denied")
	}
}

// Every kind and every state that an admin is shown has a name in the contract.
func TestFindingNames(t *testing.T) {
	t.Parallel()
	s := setup(t)
	_, ctx := s.user(t, auth.Admin)
	client := orderv1.NewAuditServiceClient(s.dial(t, grpcserver.Gateway))
	for _, kind := range domain.FindingKinds {
		s.found(t, kind, uuid.New(), false)
	}
	all, err := client.ListFindings(ctx, &orderv1.ListFindingsRequest{PageSize: 100})
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[orderv1.FindingKind]bool)
	for _, f := range all.GetFindings() {
		seen[f.GetKind()] = true
	}
	if want := len(orderv1.FindingKind_name) - 1; seen[orderv1.FindingKind_FINDING_KIND_UNSPECIFIED] || len(seen) != want || len(domain.FindingKinds) != want {
		t.Errorf("kinds %v of %d, want %d", seen, len(domain.FindingKinds), want)
	}
}
