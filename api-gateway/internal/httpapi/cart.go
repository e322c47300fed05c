package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"shop.example/platform/apperr"
	cartv1 "shop.example/proto/cart/v1"
)

// CartItem is a line of a cart.
type CartItem struct {
	ProductID          string `json:"product_id" format:"uuid"`
	SKU                string `json:"sku"`
	Name               string `json:"name"`
	Image              string `json:"image" doc:"The address of a picture, empty without one."`
	Quantity           int64  `json:"quantity"`
	UnitPrice          Money  `json:"unit_price"`
	LineTotal          Money  `json:"line_total"`
	UnitPriceWhenAdded Money  `json:"unit_price_when_added"`
	PriceChanged       bool   `json:"price_changed"`
	Available          bool   `json:"available" doc:"Whether the product can be bought in this quantity now."`
}

// Cart is what a customer means to buy.
type Cart struct {
	Items      []CartItem `json:"items"`
	ItemCount  int64      `json:"item_count" doc:"Pieces, not lines."`
	Subtotal   Money      `json:"subtotal"`
	Currency   string     `json:"currency"`
	Version    int64      `json:"version"`
	ExpiresAt  *time.Time `json:"expires_at" doc:"null for a cart that was never written."`
	PricesAsOf *time.Time `json:"prices_as_of" doc:"null if no prices were asked for."`
	Stale      bool       `json:"stale,omitempty" doc:"true if the prices are the last known ones."`
}

type cartOutput struct {
	ETag string `header:"ETag"`
	Body Cart
}

// changedCart is the answer to a write that may begin a guest's cart.
type changedCart struct {
	ETag      string `header:"ETag"`
	CartToken string `header:"X-Cart-Token"`
	Body      Cart
}

// CartToken is how a guest names the cart. It is exported because huma passes over what is embedded otherwise. Its value is a
// secret: whoever has it has the cart.
type CartToken struct {
	CartToken string `header:"X-Cart-Token" maxLength:"512" doc:"A guest's: the X-Cart-Token that was answered last. Without one, and without an access token, a first write begins a new cart. With an access token it is not looked at."`
}

type mergeCartInput struct {
	Body struct {
		CartToken string `json:"cart_token" minLength:"1" maxLength:"512" doc:"The X-Cart-Token of the guest's cart." example:"AZ8Kp0mXd3m3qzvVQn2bZ1yq9q3l0fXlJYk2l6Yv3k9r"`
	} `nameHint:"CartMerge"`
}

type addCartItemInput struct {
	IfMatch
	CartToken
	Body struct {
		ProductID string `json:"product_id" format:"uuid" minLength:"36" maxLength:"36" example:"01980f5e-8c4a-7c7e-9f3e-5b1d2a6c4e11"`
		Quantity  int64  `json:"quantity" minimum:"1" example:"2"`
	} `nameHint:"NewCartItem"`
}

type setCartItemInput struct {
	ProductID string `path:"product_id" format:"uuid" minLength:"36" maxLength:"36" example:"01980f5e-8c4a-7c7e-9f3e-5b1d2a6c4e11"`
	IfMatch
	CartToken
	Body struct {
		Quantity int64 `json:"quantity" minimum:"0" doc:"0 removes the line." example:"2"`
	} `nameHint:"CartItemQuantity"`
}

type removeCartItemInput struct {
	ProductID string `path:"product_id" format:"uuid" minLength:"36" maxLength:"36" example:"01980f5e-8c4a-7c7e-9f3e-5b1d2a6c4e11"`
	IfMatch
	CartToken
}

type clearCartInput struct {
	IfMatch
	CartToken
}

func (s *Server) registerCart() {
	tags := []string{"cart"}
	register(s, huma.Operation{
		OperationID: "get-cart", Method: http.MethodGet, Path: base + "/cart", Summary: "My cart, with live prices", Tags: tags,
		Description: "A guest's who has none yet, or whose token was merged, is empty. When prices can't be asked for, they are the last known ones, and `stale` is true.",
	}, s.getCart)
	register(s, huma.Operation{
		OperationID: "add-cart-item", Method: http.MethodPost, Path: base + "/cart/items", DefaultStatus: http.StatusOK,
		Summary: "Put a product into the cart", Tags: tags,
		Description: "Quantities of one product add up. A guest is answered the token of the cart, a new one if none was sent, or if that was merged or has expired.",
	}, s.addCartItem, "product_unavailable", "cart_limit")
	register(s, huma.Operation{
		OperationID: "set-cart-item", Method: http.MethodPut, Path: base + "/cart/items/{product_id}",
		Summary: "Set the quantity of a product", Tags: tags,
		Description: "0 removes the line.",
	}, s.setCartItem, "cart_limit", "product_unavailable")
	register(s, huma.Operation{
		OperationID: "remove-cart-item", Method: http.MethodDelete, Path: base + "/cart/items/{product_id}", DefaultStatus: http.StatusOK,
		Summary: "Take a product out of the cart", Tags: tags,
	}, s.removeCartItem)
	register(s, huma.Operation{
		OperationID: "clear-cart", Method: http.MethodDelete, Path: base + "/cart", DefaultStatus: http.StatusNoContent,
		Summary: "Empty the cart", Tags: tags,
	}, s.clearCart)
	register(s, huma.Operation{
		OperationID: "merge-cart", Method: http.MethodPost, Path: base + "/cart/merge", DefaultStatus: http.StatusOK,
		Summary: "Put a guest's cart into my own", Tags: tags,
		Description: "Quantities of one product add up, as far as a cart's limits allow. Once more changes nothing. The token is spent then.",
	}, s.mergeCart)
}

func (s *Server) getCart(ctx context.Context, in *CartToken) (*cartOutput, error) {
	answer, err := s.services.Carts.GetCart(ctx, &cartv1.GetCartRequest{CartToken: in.CartToken})
	if err != nil {
		return nil, err
	}
	return cartOf(answer.GetCart())
}

func (s *Server) addCartItem(ctx context.Context, in *addCartItemInput) (*changedCart, error) {
	version, err := in.version()
	if err != nil {
		return nil, err
	}
	var answer *cartv1.AddItemResponse
	err = s.inCartOrNew(ctx, in.CartToken.CartToken, func(token string) (err error) {
		answer, err = s.services.Carts.AddItem(ctx, &cartv1.AddItemRequest{
			ProductId: in.Body.ProductID, Quantity: in.Body.Quantity, IfVersion: version, CartToken: token,
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	return changedCartOf(answer.GetCart(), answer.GetCartToken())
}

func (s *Server) setCartItem(ctx context.Context, in *setCartItemInput) (*changedCart, error) {
	version, err := in.version()
	if err != nil {
		return nil, err
	}
	var answer *cartv1.SetItemResponse
	err = s.inCartOrNew(ctx, in.CartToken.CartToken, func(token string) (err error) {
		answer, err = s.services.Carts.SetItem(ctx, &cartv1.SetItemRequest{
			ProductId: in.ProductID, Quantity: in.Body.Quantity, IfVersion: version, CartToken: token,
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	return changedCartOf(answer.GetCart(), answer.GetCartToken())
}

// inCartOrNew writes to the cart of a token or, if that is no more, to a new one: the guest who signed in with a cart goes on
// without an account, or comes back after a month. It counts as what it is, or one token would be good for any number of carts.
func (s *Server) inCartOrNew(ctx context.Context, token string, write func(token string) error) error {
	err := write(token)
	if token == "" || apperr.ReasonOf(err) != "cart_gone" {
		return err
	}
	if s.limiter != nil {
		decision := s.limiter.Take(ctx, newCartPolicy, networkOf(ctx))
		if !decision.Allowed {
			return apperr.New(apperr.TooMany, apperr.TooMany.DefaultReason(), tooMany).WithAttribute("retry_after", int64(decision.RetryAfterSeconds()))
		}
	}
	return write("")
}

func (s *Server) removeCartItem(ctx context.Context, in *removeCartItemInput) (*cartOutput, error) {
	version, err := in.version()
	if err != nil {
		return nil, err
	}
	answer, err := s.services.Carts.RemoveItem(ctx, &cartv1.RemoveItemRequest{
		ProductId: in.ProductID, IfVersion: version, CartToken: in.CartToken.CartToken,
	})
	if err != nil {
		return nil, err
	}
	return cartOf(answer.GetCart())
}

func (s *Server) clearCart(ctx context.Context, in *clearCartInput) (*noOutput, error) {
	version, err := in.version()
	if err != nil {
		return nil, err
	}
	_, err = s.services.Carts.ClearCart(ctx, &cartv1.ClearCartRequest{IfVersion: version, CartToken: in.CartToken.CartToken})
	return &noOutput{}, err
}

func (s *Server) mergeCart(ctx context.Context, in *mergeCartInput) (*cartOutput, error) {
	answer, err := s.services.Carts.MergeCart(ctx, &cartv1.MergeCartRequest{CartToken: in.Body.CartToken})
	if err != nil {
		return nil, err
	}
	return cartOf(answer.GetCart())
}

// cartOf answers with a cart.
func cartOf(c *cartv1.Cart) (*cartOutput, error) {
	body := cartBody(c)
	tag, err := cartTag(body)
	return &cartOutput{ETag: tag, Body: body}, err
}

func changedCartOf(c *cartv1.Cart, token string) (*changedCart, error) {
	body := cartBody(c)
	tag, err := cartTag(body)
	return &changedCart{ETag: tag, CartToken: token, Body: body}, err
}

// cartTag is the tag of a cart, whose prices change without its version. When they were asked for says nothing of the cart.
func cartTag(c Cart) (string, error) {
	c.PricesAsOf = nil
	return etagOf(c.Version, c)
}

func cartBody(c *cartv1.Cart) Cart {
	currency := c.GetCurrency()
	return Cart{
		Items: convertAll(c.GetItems(), func(i *cartv1.CartItem) CartItem {
			return CartItem{
				ProductID: i.GetProductId(), SKU: i.GetSku(), Name: i.GetName(), Image: i.GetImage(), Quantity: i.GetQuantity(),
				UnitPrice: money(i.GetUnitPrice(), currency), LineTotal: money(i.GetLineTotal(), currency),
				UnitPriceWhenAdded: money(i.GetUnitPriceWhenAdded(), currency),
				PriceChanged:       i.GetPriceChanged(), Available: i.GetAvailable(),
			}
		}),
		ItemCount: c.GetItemCount(), Subtotal: money(c.GetSubtotal(), currency), Currency: currency, Version: c.GetVersion(),
		ExpiresAt: optionalInstant(c.GetExpiresAt()), PricesAsOf: optionalInstant(c.GetPricesAsOf()), Stale: c.GetStale(),
	}
}
