package client

import (
	"context"
	"testing"

	"github.com/google/uuid"
	"google.golang.org/grpc"

	"shop.example/order-service/internal/usecase"
	"shop.example/platform/money"
	moneyv1 "shop.example/proto/money/v1"
	productv1 "shop.example/proto/product/v1"
)

// shelf is a catalogue that answers what is on it, whatever is asked for.
type shelf struct {
	productv1.CatalogServiceClient
	products []*productv1.Product
}

func (s shelf) BatchGetProducts(context.Context, *productv1.BatchGetProductsRequest, ...grpc.CallOption) (*productv1.BatchGetProductsResponse, error) {
	return &productv1.BatchGetProductsResponse{Products: s.products}, nil
}

// TestOrdersChargeTheSalePrice: also when that is nothing.
func TestOrdersChargeTheSalePrice(t *testing.T) {
	t.Parallel()
	id := uuid.New()
	for name, tc := range map[string]struct {
		sale *moneyv1.Money
		want int64
	}{
		"no sale":         {nil, 999},
		"a sale":          {&moneyv1.Money{Amount: 750, Currency: "EUR"}, 750},
		"for nothing":     {&moneyv1.Money{Amount: 0, Currency: "EUR"}, 0},
		"no price at all": {&moneyv1.Money{Amount: 5}, -1},
	} {
		catalog := shelf{products: []*productv1.Product{{
			Id: id.String(), Sku: "A", Name: "Tea", Status: productv1.ProductStatus_PRODUCT_STATUS_ACTIVE,
			Price: &moneyv1.Money{Amount: 999, Currency: "EUR"}, SalePrice: tc.sale, Stock: &productv1.Stock{Available: 3},
		}}}
		got, err := (&Products{catalog: catalog}).Products(t.Context(), []uuid.UUID{id})
		if tc.want < 0 {
			if err == nil {
				t.Errorf("%s: got %+v", name, got)
			}
			continue
		}
		want := usecase.Product{SKU: "A", Name: "Tea", Price: money.MustNew(tc.want, "EUR"), OnSale: true, Available: 3}
		if err != nil || got[id] != want {
			t.Errorf("%s: got %+v, %v, want %+v", name, got[id], err, want)
		}
	}
}
