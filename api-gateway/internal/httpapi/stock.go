package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	productv1 "shop.example/proto/product/v1"
)

type adjustStockInput struct {
	ByID
	IdempotencyKey string `header:"Idempotency-Key" maxLength:"255" example:"9f1c2b7e-stock-1" doc:"1 to 255 printable characters. The same key and body again change nothing and answer the first result."`
	Body           struct {
		Delta  int64  `json:"delta" minimum:"-1000000000" maximum:"1000000000" doc:"By how much the stock on hand changes; not 0." example:"25"`
		Reason string `json:"reason" minLength:"1" maxLength:"200" example:"delivery 4711"`
	} `nameHint:"StockAdjustment"`
}

type adjustStockOutput struct {
	Replayed string `header:"Idempotency-Replayed" doc:"true if this is the answer to an earlier request with the same key."`
	Body     Stock
}

// StockAdjustment is an entry of the ledger: a change of what is on hand, whoever made it.
type StockAdjustment struct {
	ID          string    `json:"id" format:"uuid"`
	Delta       int64     `json:"delta" doc:"The change of what is on hand."`
	Reason      string    `json:"reason"`
	Reference   string    `json:"reference" doc:"What caused it, such as an order's id; empty for an adjustment by hand."`
	Actor       string    `json:"actor" doc:"Who caused it: a user's id, or a service."`
	OnHandAfter int64     `json:"on_hand_after"`
	At          time.Time `json:"at"`
}

type listStockAdjustmentsInput struct {
	ByID
	Paging
}

type listStockAdjustmentsOutput struct{ Body Page[StockAdjustment] }

func (s *Server) registerStock() {
	register(s, huma.Operation{
		OperationID: "list-stock-adjustments", Method: http.MethodGet, Path: base + "/products/{id}/stock-adjustments",
		Summary: "The ledger of a product's stock, newest first", Tags: []string{"stock"},
		Description: "Every change of what is on hand, sales and returns too: the sum of all is what there is.",
	}, s.listStockAdjustments)
	register(s, huma.Operation{
		OperationID: "adjust-stock", Method: http.MethodPost, Path: base + "/products/{id}/stock-adjustments", DefaultStatus: http.StatusCreated,
		Summary: "Change the stock on hand", Tags: []string{"stock"},
		Description: "It can't go below what is reserved for orders: 409 `insufficient_stock`.",
		Metadata:    map[string]any{metaIdempotency: keyOptional},
	}, s.adjustStock, "insufficient_stock", "idempotency_key_reused")
}

func (s *Server) adjustStock(ctx context.Context, in *adjustStockInput) (*adjustStockOutput, error) {
	answer, err := s.services.Stock.AdjustStock(ctx, &productv1.AdjustStockRequest{
		ProductId: in.ID, Delta: in.Body.Delta, Reason: in.Body.Reason, IdempotencyKey: in.IdempotencyKey,
	})
	if err != nil {
		return nil, err
	}
	return &adjustStockOutput{Replayed: replayed(answer.GetReplayed()), Body: stockOf(answer.GetStock(), true)}, nil
}

func (s *Server) listStockAdjustments(ctx context.Context, in *listStockAdjustmentsInput) (*listStockAdjustmentsOutput, error) {
	answer, err := s.services.Stock.ListStockLedger(ctx, &productv1.ListStockLedgerRequest{
		ProductId: in.ID, PageSize: in.PageSize, PageToken: in.PageToken, IncludeTotal: in.IncludeTotal,
	})
	if err != nil {
		return nil, err
	}
	return &listStockAdjustmentsOutput{Body: Page[StockAdjustment]{
		Items: convertAll(answer.GetEntries(), stockAdjustmentOf), NextPageToken: answer.GetNextPageToken(), TotalSize: answer.TotalSize,
	}}, nil
}

func stockAdjustmentOf(e *productv1.StockLedgerEntry) StockAdjustment {
	return StockAdjustment{
		ID: e.GetId(), Delta: e.GetDelta(), Reason: e.GetReason(), Reference: e.GetReference(), Actor: e.GetActor(),
		OnHandAfter: e.GetOnHandAfter(), At: instant(e.GetAt()),
	}
}

// replayed is the value of Idempotency-Replayed, which is absent otherwise.
func replayed(is bool) string {
	if is {
		return "true"
	}
	return ""
}

func stockOf(s *productv1.Stock, staff bool) Stock {
	stock := Stock{Available: s.GetAvailable()}
	if staff {
		onHand, reserved := s.GetOnHand(), s.GetReserved()
		stock.OnHand, stock.Reserved = &onHand, &reserved
	}
	return stock
}
