package rpc

import (
	"fmt"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/timestamppb"

	"shop.example/cart-service/internal/domain"
	"shop.example/cart-service/internal/usecase"
	"shop.example/platform/apperr"
	"shop.example/platform/money"
	cartv1 "shop.example/proto/cart/v1"
	moneyv1 "shop.example/proto/money/v1"
)

// parseID parses an id that was validated already; the error is for a rule that is missing in the .proto.
func parseID(field, text string) (uuid.UUID, error) {
	id, err := uuid.Parse(text)
	if err != nil {
		return uuid.UUID{}, apperr.InvalidField(field, "must be a UUID").Wrap(err)
	}
	return id, nil
}

func putItem(productID string, quantity int64, ifVersion *int64) (usecase.PutItem, error) {
	id, err := parseID("product_id", productID)
	return usecase.PutItem{ProductID: id, Quantity: quantity, IfVersion: ifVersion}, err
}

func purchaseOf(req *cartv1.RemovePurchasedRequest) (usecase.Purchase, error) {
	userID, err := parseID("user_id", req.GetUserId())
	if err != nil {
		return usecase.Purchase{}, err
	}
	orderID, err := parseID("order_id", req.GetOrderId())
	if err != nil {
		return usecase.Purchase{}, err
	}
	purchase := usecase.Purchase{UserID: userID, OrderID: orderID, Lines: make([]domain.PurchasedLine, len(req.GetLines()))}
	for i, l := range req.GetLines() {
		productID, err := parseID(fmt.Sprintf("lines[%d].product_id", i), l.GetProductId())
		if err != nil {
			return usecase.Purchase{}, err
		}
		purchase.Lines[i] = domain.PurchasedLine{ProductID: productID, Quantity: l.GetQuantity()}
	}
	return purchase, nil
}

func cartOf(v domain.View) *cartv1.Cart {
	cart := &cartv1.Cart{
		Items:      make([]*cartv1.CartItem, len(v.Items)),
		ItemCount:  v.Pieces,
		Subtotal:   moneyOf(v.Subtotal),
		Currency:   v.Subtotal.Currency(),
		Version:    v.Version,
		PricesAsOf: timestamppb.New(v.PricesAsOf),
		Stale:      v.Stale,
	}
	if !v.ExpiresAt.IsZero() {
		cart.ExpiresAt = timestamppb.New(v.ExpiresAt)
	}
	for i, item := range v.Items {
		cart.Items[i] = &cartv1.CartItem{
			ProductId: item.ProductID.String(), Sku: item.SKU, Name: item.Name, Image: item.Image,
			Quantity: item.Quantity, UnitPrice: moneyOf(item.UnitPrice), LineTotal: moneyOf(item.LineTotal),
			UnitPriceWhenAdded: moneyOf(item.AddedPrice), PriceChanged: item.PriceChanged, Available: item.Available,
		}
	}
	return cart
}

func moneyOf(m money.Money) *moneyv1.Money {
	return &moneyv1.Money{Amount: m.Amount(), Currency: m.Currency()}
}
