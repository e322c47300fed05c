package rpc

import (
	"context"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"shop.example/order-service/internal/domain"
	"shop.example/order-service/internal/usecase"
	orderv1 "shop.example/proto/order/v1"
)

// AuditServer serves order.v1.AuditService.
type AuditServer struct {
	orderv1.UnimplementedAuditServiceServer

	findings *usecase.Findings
}

// RegisterAudit adds the service of findings to a server.
func RegisterAudit(r grpc.ServiceRegistrar, findings *usecase.Findings) {
	orderv1.RegisterAuditServiceServer(r, &AuditServer{findings: findings})
}

func (s *AuditServer) ListFindings(ctx context.Context, req *orderv1.ListFindingsRequest) (*orderv1.ListFindingsResponse, error) {
	page, err := s.findings.List(ctx, toListFindings(req))
	if err != nil {
		return nil, err
	}
	answer := &orderv1.ListFindingsResponse{NextPageToken: page.NextPageToken, TotalSize: page.Total}
	for _, f := range page.Findings {
		answer.Findings = append(answer.Findings, fromFinding(f))
	}
	return answer, nil
}

func (s *AuditServer) RepairFinding(ctx context.Context, req *orderv1.RepairFindingRequest) (*orderv1.RepairFindingResponse, error) {
	id, err := toID("finding_id", req.GetFindingId())
	if err != nil {
		return nil, err
	}
	finding, err := s.findings.Repair(ctx, id)
	if err != nil {
		return nil, err
	}
	return &orderv1.RepairFindingResponse{Finding: fromFinding(finding)}, nil
}

var findingKinds = map[domain.FindingKind]orderv1.FindingKind{
	domain.ReservationWithoutOrder: orderv1.FindingKind_FINDING_KIND_RESERVATION_WITHOUT_ORDER,
	domain.OrderWithoutReservation: orderv1.FindingKind_FINDING_KIND_ORDER_WITHOUT_RESERVATION,
	domain.ReservationDiffers:      orderv1.FindingKind_FINDING_KIND_RESERVATION_DIFFERS,
	domain.StockMissing:            orderv1.FindingKind_FINDING_KIND_STOCK_MISSING,
	domain.OrderWithoutCapture:     orderv1.FindingKind_FINDING_KIND_ORDER_WITHOUT_CAPTURE,
	domain.CaptureWithoutOrder:     orderv1.FindingKind_FINDING_KIND_CAPTURE_WITHOUT_ORDER,
	domain.AmountDiffers:           orderv1.FindingKind_FINDING_KIND_AMOUNT_DIFFERS,
	domain.RefundRefused:           orderv1.FindingKind_FINDING_KIND_REFUND_REFUSED,
	domain.OrderStuck:              orderv1.FindingKind_FINDING_KIND_ORDER_STUCK,
}

var findingStatuses = map[domain.FindingStatus]orderv1.FindingStatus{
	domain.FindingOpen:     orderv1.FindingStatus_FINDING_STATUS_OPEN,
	domain.FindingResolved: orderv1.FindingStatus_FINDING_STATUS_RESOLVED,
	domain.FindingRepaired: orderv1.FindingStatus_FINDING_STATUS_REPAIRED,
}

func toListFindings(req *orderv1.ListFindingsRequest) usecase.ListFindings {
	return usecase.ListFindings{
		Filter:   usecase.FindingFilter{Status: named(findingStatuses, req.GetStatus()), Kind: named(findingKinds, req.GetKind())},
		PageSize: int(req.GetPageSize()), PageToken: req.GetPageToken(), IncludeTotal: req.GetIncludeTotal(),
	}
}

func fromFinding(f domain.Finding) *orderv1.Finding {
	out := &orderv1.Finding{
		Id: f.ID.String(), Kind: findingKinds[f.Kind], Reference: f.Reference, Detail: f.Detail, Status: findingStatuses[f.Status],
		Repairable:  f.Repairable && f.Status == domain.FindingOpen,
		FirstSeenAt: timestamppb.New(f.FirstSeenAt), LastSeenAt: timestamppb.New(f.LastSeenAt), ResolvedAt: moment(f.ResolvedAt),
	}
	if f.OrderID != uuid.Nil {
		out.OrderId = f.OrderID.String()
	}
	return out
}
