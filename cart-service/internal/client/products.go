// Package client asks the other services, behind the ports of the use cases.
package client

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"shop.example/cart-service/internal/domain"
	"shop.example/platform/apperr"
	"shop.example/platform/money"
	productv1 "shop.example/proto/product/v1"
)

// Products asks product-service.
type Products struct {
	catalog productv1.CatalogServiceClient
}

// NewProducts returns a client on a stub.
func NewProducts(catalog productv1.CatalogServiceClient) *Products {
	return &Products{catalog: catalog}
}

// Offers returns the products of the ids, at most 100; unknown ones are left out.
func (p *Products) Offers(ctx context.Context, ids []uuid.UUID) (domain.Offers, error) {
	request := &productv1.BatchGetProductsRequest{ProductIds: make([]string, len(ids))}
	for i, id := range ids {
		request.ProductIds[i] = id.String()
	}
	answer, err := p.catalog.BatchGetProducts(ctx, request)
	if apperr.KindOf(err) == apperr.DeadlineExceeded && ctx.Err() == nil {
		return nil, apperr.DependencyUnavailable(err) // the caller has time; product-service used up what it is given
	}
	if err != nil {
		return nil, err
	}
	offers := make(domain.Offers, len(answer.GetProducts()))
	for _, product := range answer.GetProducts() {
		id, err := uuid.Parse(product.GetId())
		if err != nil {
			return nil, fmt.Errorf("product %q: %w", product.GetId(), err)
		}
		if offers[id], err = offerOf(product); err != nil {
			return nil, fmt.Errorf("product %s: %w", id, err)
		}
	}
	return offers, nil
}

func offerOf(product *productv1.Product) (domain.Offer, error) {
	pays := product.GetPrice()
	if sale := product.GetSalePrice(); sale != nil {
		pays = sale
	}
	price, err := money.New(pays.GetAmount(), pays.GetCurrency())
	if err != nil {
		return domain.Offer{}, err
	}
	offer := domain.Offer{
		SKU: product.GetSku(), Name: product.GetName(), Price: price,
		Active:  product.GetStatus() == productv1.ProductStatus_PRODUCT_STATUS_ACTIVE,
		InStock: product.GetStock().GetAvailable(),
	}
	if images := product.GetImages(); len(images) > 0 {
		offer.Image = images[0].GetUrl()
	}
	return offer, nil
}
