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

// toID parses an id that was validated already; the error is for a rule that is missing in the .proto.
func toID(field, text string) (uuid.UUID, error) {
	id, err := uuid.Parse(text)
	if err != nil {
		return uuid.UUID{}, apperr.InvalidField(field, "must be a UUID").Wrap(err)
	}
	return id, nil
}

func toPutItem(productID string, quantity int64, ifVersion *int64, cartToken string) (usecase.PutItem, error) {
	id, err := toID("product_id", productID)
	return usecase.PutItem{ProductID: id, Quantity: quantity, IfVersion: ifVersion, CartToken: cartToken}, err
}

func toPurchase(req *cartv1.RemovePurchasedRequest) (usecase.Purchase, error) {
	userID, err := toID("user_id", req.GetUserId())
	if err != nil {
		return usecase.Purchase{}, err
	}
	orderID, err := toID("order_id", req.GetOrderId())
	if err != nil {
		return usecase.Purchase{}, err
	}
	purchase := usecase.Purchase{UserID: userID, OrderID: orderID, Lines: make([]domain.PurchasedLine, len(req.GetLines()))}
	for i, l := range req.GetLines() {
		productID, err := toID(fmt.Sprintf("lines[%d].product_id", i), l.GetProductId())
		if err != nil {
			return usecase.Purchase{}, err
		}
		purchase.Lines[i] = domain.PurchasedLine{ProductID: productID, Quantity: l.GetQuantity()}
	}
	return purchase, nil
}

func fromCart(v domain.View) *cartv1.Cart {
	cart := &cartv1.Cart{
		Items:      make([]*cartv1.CartItem, len(v.Items)),
		ItemCount:  v.Pieces,
		Subtotal:   fromMoney(v.Subtotal),
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
			Quantity: item.Quantity, UnitPrice: fromMoney(item.UnitPrice), LineTotal: fromMoney(item.LineTotal),
			UnitPriceWhenAdded: fromMoney(item.AddedPrice), PriceChanged: item.PriceChanged, Available: item.Available,
		}
	}
	return cart
}

func fromMoney(m money.Money) *moneyv1.Money {
	return &moneyv1.Money{Amount: m.Amount(), Currency: m.Currency()}
}
