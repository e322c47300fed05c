package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"sync"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"shop.example/deploy/load/internal/customer"
	"shop.example/deploy/load/internal/measure"
)

// The kinds of requests.
const (
	addToCart    = "add to cart"
	readCart     = "read cart"
	emptyCart    = "empty cart"
	placeOrder   = "place order"
	readOrder    = "read order"
	listProducts = "list products"
	readProduct  = "read product"
	search       = "search"
)

// person is somebody who does the same again and again.
type person struct {
	*customer.Customer
	// turn does it once. What the shop refuses is counted, and no error.
	turn func(ctx context.Context, c *customer.Customer)
}

// scenario is what people do in a shop.
type scenario struct {
	name string
	// unit is what the shop's work is divided by, the requests of kind per that were answered well; any of them if it is "".
	unit, per string
	prepare   func(ctx context.Context, s shop, o options, r *measure.Recorder) ([]person, error)
}

var scenarios = []scenario{
	{"checkout", "order", placeOrder, func(ctx context.Context, s shop, o options, r *measure.Recorder) ([]person, error) {
		goods, err := stockUp(ctx, s)
		if err != nil {
			return nil, err
		}
		return register(ctx, s, o, r, func(ctx context.Context, c *customer.Customer) { checkout(ctx, c, some(goods, o.lines), o.noCart) })
	}},
	{"cart", "request", "", func(ctx context.Context, s shop, o options, r *measure.Recorder) ([]person, error) {
		goods, err := stockUp(ctx, s)
		if err != nil {
			return nil, err
		}
		return register(ctx, s, o, r, func(ctx context.Context, c *customer.Customer) { fillCart(ctx, c, some(goods, cartLines)) })
	}},
	{"browse", "request", "", func(ctx context.Context, s shop, o options, r *measure.Recorder) ([]person, error) {
		goods, err := stockUp(ctx, s)
		if err != nil {
			return nil, err
		}
		var people []person
		for range o.customers {
			people = append(people, person{customer.Stranger(s.Gateway, r), func(ctx context.Context, c *customer.Customer) {
				browse(ctx, c, goods[rand.IntN(len(goods))])
			}})
		}
		return people, nil
	}},
}

// register makes customers who all do the same.
func register(ctx context.Context, s shop, o options, r *measure.Recorder, turn func(context.Context, *customer.Customer)) ([]person, error) {
	people := make([]person, o.customers)
	group, ctx := errgroup.WithContext(ctx)
	for i := range people {
		group.Go(func() error {
			c, err := customer.Register(ctx, s.Gateway, r)
			people[i] = person{c, turn}
			return err
		})
	}
	return people, group.Wait()
}

// work has people take turn after turn until ctx ends.
func work(ctx context.Context, people []person) {
	var all sync.WaitGroup
	for _, p := range people {
		all.Go(func() {
			for ctx.Err() == nil {
				p.turn(ctx, p.Customer)
			}
		})
	}
	all.Wait()
}

// checkout buys goods with a card that is good, and looks at the order.
func checkout(ctx context.Context, c *customer.Customer, goods []product, explicit bool) {
	wish := order{Address: home, ShippingMethod: "standard", Payment: payment{"card", "tok_ok"}}
	for _, p := range goods {
		line := item{p.ID, 1}
		if explicit {
			wish.Items = append(wish.Items, line)
			continue
		}
		if !c.Do(ctx, customer.Request{Kind: addToCart, Method: http.MethodPost, Path: "/cart/items", Body: line}).OK() {
			return
		}
	}
	answer := c.Do(ctx, customer.Request{Kind: placeOrder, Method: http.MethodPost, Path: "/orders", Body: wish, Key: uuid.NewString()})
	if !answer.OK() {
		return
	}
	if id := answer.Field("id"); id != "" {
		c.Do(ctx, customer.Request{Kind: readOrder, Method: http.MethodGet, Path: "/orders/" + id})
	}
}

// cartLines is how many products somebody has in a cart who means to buy some time.
const cartLines = 5

// fillCart puts goods into the cart, looks at it after each, and empties it.
func fillCart(ctx context.Context, c *customer.Customer, goods []product) {
	for _, p := range goods {
		c.Do(ctx, customer.Request{Kind: addToCart, Method: http.MethodPost, Path: "/cart/items", Body: item{p.ID, 1}})
		c.Do(ctx, customer.Request{Kind: readCart, Method: http.MethodGet, Path: "/cart"})
	}
	c.Do(ctx, customer.Request{Kind: emptyCart, Method: http.MethodDelete, Path: "/cart"})
}

// browse looks at the newest products and at one of them, and looks for one by its name.
func browse(ctx context.Context, c *customer.Customer, p product) {
	c.Do(ctx, customer.Request{Kind: listProducts, Method: http.MethodGet, Path: "/products"})
	c.Do(ctx, customer.Request{Kind: readProduct, Method: http.MethodGet, Path: "/products/" + p.Slug})
	c.Do(ctx, customer.Request{Kind: search, Method: http.MethodGet, Path: "/products?q=" + url.QueryEscape(p.Name)})
}

// some returns n different goods.
func some(goods []product, n int) []product {
	chosen := make([]product, n)
	for i, at := range rand.Perm(len(goods))[:n] {
		chosen[i] = goods[at]
	}
	return chosen
}

const (
	// products is how many there are: enough that customers rarely want the same at once, as in a shop on a usual day.
	products = 200
	// pieces of each are more than any run sells.
	pieces = 10_000_000
)

// stockUp puts goods on sale that are this run's own.
func stockUp(ctx context.Context, s shop) ([]product, error) {
	account, err := s.account("admin")
	if err != nil {
		return nil, err
	}
	admin, err := customer.SignIn(ctx, s.Gateway, account.Email, account.Password)
	if err != nil {
		return nil, err
	}
	goods, mark := make([]product, products), uuid.NewString()[:8]
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(8) // an admin's requests at once; more would wait for each other in the shop
	for i := range goods {
		group.Go(func() error {
			goods[i], err = newProduct(ctx, admin, fmt.Sprintf("%s-%d", mark, i), int64(1000+i))
			return err
		})
	}
	return goods, group.Wait()
}

func newProduct(ctx context.Context, admin *customer.Customer, mark string, price int64) (p product, err error) {
	err = admin.Must(ctx, customer.Request{Method: http.MethodPost, Path: "/products", Body: map[string]any{
		"sku": "LOAD-" + mark, "name": "Load " + mark, "price": money{price, "EUR"}, "status": "active",
	}}, &p)
	if err == nil {
		err = admin.Must(ctx, customer.Request{Method: http.MethodPost, Path: "/products/" + p.ID + "/stock-adjustments",
			Body: map[string]any{"delta": pieces, "reason": "load"}}, nil)
	}
	return p, err
}
