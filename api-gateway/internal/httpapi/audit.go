package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	orderv1 "shop.example/proto/order/v1"
)

// Finding is something that does not agree between orders, stock and payments.
type Finding struct {
	ID          string     `json:"id" format:"uuid"`
	Kind        string     `json:"kind" enum:"reservation_without_order,order_without_reservation,reservation_differs,stock_missing,order_without_capture,capture_without_order,amount_differs,refund_refused,order_stuck"`
	OrderID     string     `json:"order_id,omitempty" format:"uuid" doc:"Absent for what is of no order, such as a payment that names none."`
	Reference   string     `json:"reference" doc:"What it is about: the order's id, or the payment's at the provider."`
	Detail      string     `json:"detail" doc:"The facts, in a sentence."`
	Status      string     `json:"status" enum:"open,resolved,repaired" doc:"resolved: an audit did not find it any more; repaired: its repair was begun, and it is open again if an audit still finds it."`
	Repairable  bool       `json:"repairable" doc:"Whether it is open, and the shop can repair it by itself."`
	FirstSeenAt time.Time  `json:"first_seen_at"`
	LastSeenAt  time.Time  `json:"last_seen_at"`
	ResolvedAt  *time.Time `json:"resolved_at,omitempty" doc:"Absent while it is open."`
}

type listFindingsInput struct {
	Status string `query:"status" enum:"open,resolved,repaired" doc:"All unless given."`
	Kind   string `query:"kind" enum:"reservation_without_order,order_without_reservation,reservation_differs,stock_missing,order_without_capture,capture_without_order,amount_differs,refund_refused,order_stuck" doc:"All unless given."`
	Paging
}

type listFindingsOutput struct{ Body Page[Finding] }

type findingOutput struct{ Body Finding }

func (s *Server) registerAudit() {
	tags, path := []string{"audit"}, base+"/audit/findings"
	register(s, huma.Operation{
		OperationID: "list-findings", Method: http.MethodGet, Path: path, Summary: "What does not agree, newest first", Tags: tags,
		Description: "An audit compares orders with their reservations and payments, several times a minute those that changed. " +
			"What does not agree is a finding when it stays so for longer than anything under way takes.",
	}, s.listFindings)
	register(s, huma.Operation{
		OperationID: "repair-finding", Method: http.MethodPost, Path: path + "/{id}/repair", Summary: "Repair a finding", Tags: tags,
		Description: "Looks at it once more, and has it repaired by what repairs orders anyway: pieces are released, the order is looked at, " +
			"money goes back. Answers the finding, `repaired` or, if it is not any more, `resolved`; again, it answers the same and does " +
			"nothing, so it needs no Idempotency-Key. 409 `finding_not_repairable` says what to do instead.",
		Metadata: map[string]any{metaExample: exampleRepairedFinding, metaTimeout: checkoutTimeout},
	}, s.repairFinding, "finding_not_repairable", "order_busy")
}

func (s *Server) listFindings(ctx context.Context, in *listFindingsInput) (*listFindingsOutput, error) {
	answer, err := s.services.Audit.ListFindings(ctx, &orderv1.ListFindingsRequest{
		Status:   enumValue[orderv1.FindingStatus](orderv1.FindingStatus_value, "FINDING_STATUS_", in.Status),
		Kind:     enumValue[orderv1.FindingKind](orderv1.FindingKind_value, "FINDING_KIND_", in.Kind),
		PageSize: in.PageSize, PageToken: in.PageToken, IncludeTotal: in.IncludeTotal,
	})
	if err != nil {
		return nil, err
	}
	return &listFindingsOutput{Body: Page[Finding]{
		Items: convertAll(answer.GetFindings(), findingOf), NextPageToken: answer.GetNextPageToken(), TotalSize: answer.TotalSize,
	}}, nil
}

func (s *Server) repairFinding(ctx context.Context, in *ByID) (*findingOutput, error) {
	answer, err := s.services.Audit.RepairFinding(ctx, &orderv1.RepairFindingRequest{FindingId: in.ID})
	if err != nil {
		return nil, err
	}
	return &findingOutput{Body: findingOf(answer.GetFinding())}, nil
}

func findingOf(f *orderv1.Finding) Finding {
	return Finding{
		ID: f.GetId(), Kind: enumName(f.GetKind(), "FINDING_KIND_"), OrderID: f.GetOrderId(), Reference: f.GetReference(), Detail: f.GetDetail(),
		Status: enumName(f.GetStatus(), "FINDING_STATUS_"), Repairable: f.GetRepairable(),
		FirstSeenAt: instant(f.GetFirstSeenAt()), LastSeenAt: instant(f.GetLastSeenAt()), ResolvedAt: optionalInstant(f.GetResolvedAt()),
	}
}
