package httpapi

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	orderv1 "shop.example/proto/order/v1"
)

// QuotedItem is a line that an order would have.
type QuotedItem struct {
	ProductID string `json:"product_id" format:"uuid"`
	SKU       string `json:"sku"`
	Name      string `json:"name"`
	Quantity  int64  `json:"quantity"`
	UnitPrice Money  `json:"unit_price"`
	LineTotal Money  `json:"line_total"`
}

// Obstacle is a reason why an order would be refused now.
type Obstacle struct {
	Code      string `json:"code" doc:"The code that POST /orders would be refused with." example:"out_of_stock"`
	Message   string `json:"message" doc:"For people."`
	Location  string `json:"location,omitempty" doc:"The part of the request, such as body.items[0]; absent if it is none."`
	ProductID string `json:"product_id,omitempty" format:"uuid" doc:"The product that it is about."`
	Available *int64 `json:"available,omitempty" doc:"For out_of_stock: how many there are."`
}

// Quote is what an order would cost now, and what stands in its way.
type Quote struct {
	Items     []QuotedItem `json:"items" doc:"The lines that can be priced."`
	Subtotal  Money        `json:"subtotal"`
	Discount  Money        `json:"discount"`
	Shipping  Money        `json:"shipping"`
	Total     Money        `json:"total" doc:"What to send as expected_total, if there are no obstacles."`
	Currency  string       `json:"currency"`
	Obstacles []Obstacle   `json:"obstacles" doc:"Empty if nothing stands in the way."`
}

type quoteOrderInput struct {
	Body *struct {
		Items          []RequestedItem `json:"items,omitempty" minItems:"1" maxItems:"100" doc:"The cart unless given."`
		AddressID      string          `json:"address_id,omitempty" format:"uuid" minLength:"36" maxLength:"36" doc:"Of my address book."`
		ShippingMethod string          `json:"shipping_method,omitempty" minLength:"1" maxLength:"50" example:"standard"`
		CouponCode     string          `json:"coupon_code,omitempty" maxLength:"50" example:"SPRING-10"`
	} `nameHint:"QuoteRequest"`
}

type quoteOrderOutput struct{ Body Quote }

func (s *Server) registerQuote() {
	register(s, huma.Operation{
		OperationID: "quote-order", Method: http.MethodPost, Path: base + "/orders/quote", DefaultStatus: http.StatusOK,
		Summary: "What an order would cost now", Tags: []string{"orders"},
		Description: "It changes nothing, and reserves nothing. What stands in the way of ordering is in `obstacles`, all of it at once; only a " +
			"part of the shop that can't be reached, or a request of the wrong form, is a problem.",
	}, s.quoteOrder)
}

func (s *Server) quoteOrder(ctx context.Context, in *quoteOrderInput) (*quoteOrderOutput, error) {
	request := new(orderv1.QuoteOrderRequest)
	if b := in.Body; b != nil {
		request.Items, request.AddressId = requestedItems(b.Items), b.AddressID
		request.ShippingMethod, request.CouponCode = b.ShippingMethod, b.CouponCode
	}
	q, err := s.services.Orders.QuoteOrder(ctx, request)
	if err != nil {
		return nil, err
	}
	currency := q.GetTotal().GetCurrency()
	return &quoteOrderOutput{Body: Quote{
		Items: convertAll(q.GetItems(), func(i *orderv1.OrderItem) QuotedItem {
			return QuotedItem{
				ProductID: i.GetProductId(), SKU: i.GetSku(), Name: i.GetName(), Quantity: i.GetQuantity(),
				UnitPrice: money(i.GetUnitPrice(), currency), LineTotal: money(i.GetLineTotal(), currency),
			}
		}),
		Subtotal: money(q.GetSubtotal(), currency), Discount: money(q.GetDiscount(), currency),
		Shipping: money(q.GetShipping(), currency), Total: money(q.GetTotal(), currency), Currency: currency,
		Obstacles: convertAll(q.GetObstacles(), func(o *orderv1.Obstacle) Obstacle {
			obstacle := Obstacle{Code: o.GetCode(), Message: o.GetMessage(), ProductID: o.GetProductId(), Available: o.Available}
			if o.GetLocation() != "" {
				obstacle.Location = "body." + o.GetLocation()
			}
			return obstacle
		}),
	}}, nil
}
