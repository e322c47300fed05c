// Package client is how the use cases reach other services and the payment provider.
package client

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"shop.example/order-service/internal/domain"
	"shop.example/order-service/internal/usecase"
	"shop.example/platform/apperr"
	"shop.example/platform/grpcclient"
	"shop.example/platform/money"
	cartv1 "shop.example/proto/cart/v1"
	productv1 "shop.example/proto/product/v1"
	userv1 "shop.example/proto/user/v1"
)

// Users asks user-service.
type Users struct{ client userv1.UserServiceClient }

// NewUsers returns a client on a connection to user-service.
func NewUsers(conn *grpcclient.Conn) *Users { return &Users{userv1.NewUserServiceClient(conn)} }

// userCheck bounds the question whether a user is active. It is asked beside others that take longer, and a checkout goes on
// without the answer.
const userCheck = 500 * time.Millisecond

// Active implements usecase.Users.
func (u *Users) Active(ctx context.Context, userID uuid.UUID) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, userCheck)
	defer cancel()
	answer, err := u.client.GetUserStatus(ctx, &userv1.GetUserStatusRequest{UserId: userID.String()})
	if apperr.KindOf(err) == apperr.NotFound {
		return false, nil
	}
	return answer.GetStatus() == userv1.UserStatus_USER_STATUS_ACTIVE, err
}

// Addresses asks user-service for entries of address books.
type Addresses struct{ client userv1.AddressServiceClient }

// NewAddresses returns a client on a connection to user-service.
func NewAddresses(conn *grpcclient.Conn) *Addresses {
	return &Addresses{userv1.NewAddressServiceClient(conn)}
}

// addressRead bounds the question for an address, without which there is no order: long enough for a busy service, short
// enough that a customer is told quickly that another address, given in the request, works.
const addressRead = 2 * time.Second

// Address implements usecase.Addresses. The user of the context is told by the token that is forwarded.
func (a *Addresses) Address(ctx context.Context, id uuid.UUID) (domain.Address, error) {
	deadline, ok := ctx.Deadline()
	hurried := ok && time.Until(deadline) <= addressRead // so it is the caller's time that may be up
	ctx, cancel := context.WithTimeout(ctx, addressRead)
	defer cancel()
	answer, err := a.client.GetAddress(ctx, &userv1.GetAddressRequest{AddressId: id.String()})
	switch {
	case apperr.KindOf(err) == apperr.NotFound:
		return domain.Address{}, domain.ErrAddressMissing.Wrap(err)
	case apperr.KindOf(err) == apperr.DeadlineExceeded && !hurried:
		return domain.Address{}, apperr.DependencyUnavailable(err)
	case err != nil:
		return domain.Address{}, err
	}
	found := answer.GetAddress()
	return domain.Address{
		Recipient: found.GetRecipient(), Line1: found.GetLine1(), Line2: found.GetLine2(), City: found.GetCity(),
		Region: found.GetRegion(), PostalCode: found.GetPostalCode(), Country: found.GetCountry(), Phone: found.GetPhone(),
	}, nil
}

// Carts asks cart-service.
type Carts struct{ client cartv1.CartServiceClient }

// NewCarts returns a client on a connection to cart-service.
func NewCarts(conn *grpcclient.Conn) *Carts { return &Carts{cartv1.NewCartServiceClient(conn)} }

// Lines implements usecase.Carts. What the cart knows of prices is not asked for: those of an order are product-service's.
func (c *Carts) Lines(ctx context.Context) ([]usecase.Line, error) {
	answer, err := c.client.GetCart(ctx, &cartv1.GetCartRequest{AsKnown: true})
	if err != nil {
		return nil, err
	}
	lines := make([]usecase.Line, 0, len(answer.GetCart().GetItems()))
	for _, item := range answer.GetCart().GetItems() {
		id, err := uuid.Parse(item.GetProductId())
		if err != nil {
			return nil, fmt.Errorf("read the cart: %w", err)
		}
		lines = append(lines, usecase.Line{ProductID: id, Quantity: item.GetQuantity()})
	}
	return lines, nil
}

// RemovePurchased implements usecase.Carts.
func (c *Carts) RemovePurchased(ctx context.Context, userID, orderID uuid.UUID, lines []usecase.Line) error {
	req := &cartv1.RemovePurchasedRequest{UserId: userID.String(), OrderId: orderID.String()}
	for _, l := range lines {
		req.Lines = append(req.Lines, &cartv1.PurchasedLine{ProductId: l.ProductID.String(), Quantity: l.Quantity})
	}
	_, err := c.client.RemovePurchased(ctx, req)
	return err
}

// Products asks product-service for prices and stock.
type Products struct {
	catalog productv1.CatalogServiceClient
	stock   productv1.StockServiceClient
}

// NewProducts returns a client on a connection to product-service.
func NewProducts(conn *grpcclient.Conn) *Products {
	return &Products{productv1.NewCatalogServiceClient(conn), productv1.NewStockServiceClient(conn)}
}

// Products implements usecase.Catalog.
func (p *Products) Products(ctx context.Context, ids []uuid.UUID) (map[uuid.UUID]usecase.Product, error) {
	req := &productv1.BatchGetProductsRequest{ProductIds: make([]string, len(ids))}
	for i, id := range ids {
		req.ProductIds[i] = id.String()
	}
	answer, err := p.catalog.BatchGetProducts(ctx, req)
	if err != nil {
		return nil, err
	}
	products := make(map[uuid.UUID]usecase.Product, len(answer.GetProducts()))
	for _, product := range answer.GetProducts() {
		id, err := uuid.Parse(product.GetId())
		if err != nil {
			return nil, fmt.Errorf("read a product: %w", err)
		}
		now := product.GetPrice()
		if product.GetSalePrice() != nil {
			now = product.GetSalePrice()
		}
		price, err := money.New(now.GetAmount(), now.GetCurrency())
		if err != nil {
			return nil, fmt.Errorf("read the price of product %s: %w", id, err)
		}
		products[id] = usecase.Product{
			SKU: product.GetSku(), Name: product.GetName(), Price: price,
			OnSale:    product.GetStatus() == productv1.ProductStatus_PRODUCT_STATUS_ACTIVE,
			Available: product.GetStock().GetAvailable(),
			Grams:     grams(product.GetAttributes()[weightAttribute]),
		}
	}
	return products, nil
}

// weightAttribute is the product attribute that says what a piece weighs, in whole grams.
const weightAttribute = "weight_grams"

// grams reads a weight. What is none weighs nothing: a slip in the catalogue must not stop the sale.
func grams(attribute string) int64 {
	n, err := strconv.ParseInt(strings.TrimSpace(attribute), 10, 64)
	if err != nil || n < 0 || n > usecase.MaxGrams {
		return 0
	}
	return n
}

// reservationDiffers is the reason of product-service for lines of a revision that was overtaken.
const reservationDiffers = "reservation_differs"

// Reserve implements usecase.Stock.
func (p *Products) Reserve(ctx context.Context, orderID uuid.UUID, revision int64, lines []usecase.Line, ttl time.Duration) error {
	_, err := p.stock.ReserveStock(ctx, &productv1.ReserveStockRequest{
		OrderId: orderID.String(), TtlSeconds: int64(ttl / time.Second), Revision: revision, Lines: stockLines(lines),
	})
	switch apperr.ReasonOf(err) {
	case domain.ErrReservationEnded.Reason:
		return domain.ErrReservationEnded.Wrap(err)
	case reservationDiffers:
		return domain.ErrBusy.Wrap(err)
	}
	return err // out_of_stock is domain.ErrOutOfStock by kind and reason, with the lines that are short
}

// Confirm implements usecase.Stock.
func (p *Products) Confirm(ctx context.Context, orderID uuid.UUID) error {
	_, err := p.stock.ConfirmReservation(ctx, &productv1.ConfirmReservationRequest{OrderId: orderID.String()})
	return err
}

// Release implements usecase.Stock.
func (p *Products) Release(ctx context.Context, orderID uuid.UUID, kept ...usecase.Line) error {
	_, err := p.stock.ReleaseReservation(ctx, &productv1.ReleaseReservationRequest{OrderId: orderID.String(), Kept: stockLines(kept)})
	return err
}

// Restock implements usecase.Stock.
func (p *Products) Restock(ctx context.Context, orderID, refundID uuid.UUID, lines []usecase.Line) error {
	_, err := p.stock.RestockItems(ctx, &productv1.RestockItemsRequest{
		OrderId: orderID.String(), RefundId: refundID.String(), Lines: stockLines(lines),
	})
	return err
}

func stockLines(lines []usecase.Line) (out []*productv1.StockLine) {
	for _, l := range lines {
		out = append(out, &productv1.StockLine{ProductId: l.ProductID.String(), Quantity: l.Quantity})
	}
	return out
}
