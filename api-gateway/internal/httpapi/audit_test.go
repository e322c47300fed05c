package httpapi

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	"shop.example/platform/apperr"
	"shop.example/platform/auth"
	orderv1 "shop.example/proto/order/v1"
)

func TestFindingsOfAdmins(t *testing.T) {
	t.Parallel()
	s := setup(t)
	at := &timestamppb.Timestamp{Seconds: 1772366400}
	open := &orderv1.Finding{
		Id: itemID, Kind: orderv1.FindingKind_FINDING_KIND_CAPTURE_WITHOUT_ORDER, Reference: "pay_1", Detail: "It is so.",
		Status: orderv1.FindingStatus_FINDING_STATUS_OPEN, Repairable: true, FirstSeenAt: at, LastSeenAt: at,
	}
	s.on("ListFindings", &orderv1.ListFindingsResponse{Findings: []*orderv1.Finding{open}, NextPageToken: "n", TotalSize: new(int64(7))})
	a := s.as(t, auth.Admin, "GET", "/api/v1/audit/findings?status=open&kind=capture_without_order&page_size=1&page_token=p&include_total=true", "")
	shown := map[string]any{
		"id": itemID, "kind": "capture_without_order", "reference": "pay_1", "detail": "It is so.", "status": "open", "repairable": true,
		"first_seen_at": "2026-03-01T12:00:00Z", "last_seen_at": "2026-03-01T12:00:00Z",
	}
	if diff := cmp.Diff(map[string]any{"items": []any{shown}, "next_page_token": "n", "total_size": 7.0}, a.json); diff != "" || a.status != 200 {
		t.Errorf("%d %s", a.status, diff)
	}
	asks := &orderv1.ListFindingsRequest{
		Status: orderv1.FindingStatus_FINDING_STATUS_OPEN, Kind: orderv1.FindingKind_FINDING_KIND_CAPTURE_WITHOUT_ORDER, PageSize: 1, PageToken: "p", IncludeTotal: true,
	}
	if diff := cmp.Diff(asks, asked[*orderv1.ListFindingsRequest](t, s, "ListFindings"), protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
	for query, location := range map[string]string{"status=suspected": "query.status", "kind=x": "query.kind", "page_size=0": "query.page_size"} {
		a := s.as(t, auth.Admin, "GET", "/api/v1/audit/findings?"+query, "")
		a.mustBeProblem(t, 422, "validation_failed")
		if diff := cmp.Diff([]string{location}, a.locations()); diff != "" {
			t.Errorf("%s: %s", query, diff)
		}
	}

	repaired := &orderv1.Finding{
		Id: itemID, Kind: orderv1.FindingKind_FINDING_KIND_ORDER_STUCK, OrderId: orderID, Reference: orderID, Detail: "It is so.",
		Status: orderv1.FindingStatus_FINDING_STATUS_REPAIRED, FirstSeenAt: at, LastSeenAt: at, ResolvedAt: at,
	}
	s.on("RepairFinding", &orderv1.RepairFindingResponse{Finding: repaired})
	a = s.as(t, auth.Admin, "POST", "/api/v1/audit/findings/"+itemID+"/repair", "")
	shown = map[string]any{
		"id": itemID, "kind": "order_stuck", "order_id": orderID, "reference": orderID, "detail": "It is so.", "status": "repaired", "repairable": false,
		"first_seen_at": "2026-03-01T12:00:00Z", "last_seen_at": "2026-03-01T12:00:00Z", "resolved_at": "2026-03-01T12:00:00Z",
	}
	if diff := cmp.Diff(shown, a.json); diff != "" || a.status != 200 {
		t.Errorf("%d %s", a.status, diff)
	}
	if got := asked[*orderv1.RepairFindingRequest](t, s, "RepairFinding").GetFindingId(); got != itemID {
		t.Errorf("asked to repair %s", got)
	}
	s.on("RepairFinding", apperr.New(apperr.Conflict, "finding_not_repairable", "The shop can't repair this by itself. Call the bank."))
	a = s.as(t, auth.Admin, "POST", "/api/v1/audit/findings/"+itemID+"/repair", "")
	a.mustBeProblem(t, 409, "finding_not_repairable")
	if a.json["detail"] != "The shop can't repair this by itself. Call the bank." {
		t.Errorf("%s", a.body)
	}
}

// The document lists every kind and state that there is, and no other.
func TestFindingNames(t *testing.T) {
	t.Parallel()
	s := setup(t)
	for name, number := range orderv1.FindingKind_value {
		if number == 0 {
			continue
		}
		s.on("ListFindings", &orderv1.ListFindingsResponse{})
		kind := enumName(orderv1.FindingKind(number), "FINDING_KIND_")
		if a := s.as(t, auth.Admin, "GET", "/api/v1/audit/findings?kind="+kind, ""); a.status != 200 {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
}
