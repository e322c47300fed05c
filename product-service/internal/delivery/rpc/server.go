// Package rpc answers the calls of product.v1: it converts, calls a use case, and converts back.
package rpc

import (
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"shop.example/platform/auth"
	"shop.example/product-service/internal/usecase"
	productv1 "shop.example/proto/product/v1"
)

// Register adds the services to a server.
func Register(r grpc.ServiceRegistrar, catalog *usecase.Catalog, queries *usecase.Queries, stock *usecase.Stock) {
	productv1.RegisterCatalogServiceServer(r, &catalogServer{catalog: catalog, queries: queries})
	productv1.RegisterStockServiceServer(r, &stockServer{stock: stock, queries: queries})
}

// viewer is who looks; nobody signed in is nobody with a role.
func viewer(ctx context.Context) auth.Principal {
	p, _ := auth.FromContext(ctx)
	return p
}

type catalogServer struct {
	productv1.UnimplementedCatalogServiceServer
	catalog *usecase.Catalog
	queries *usecase.Queries
}

func (s *catalogServer) CreateCategory(ctx context.Context, req *productv1.CreateCategoryRequest) (*productv1.CreateCategoryResponse, error) {
	cmd, err := toCreateCategory(req)
	if err != nil {
		return nil, err
	}
	category, err := s.catalog.CreateCategory(ctx, cmd)
	if err != nil {
		return nil, err
	}
	return &productv1.CreateCategoryResponse{Category: fromCategory(category)}, nil
}

func (s *catalogServer) GetCategory(ctx context.Context, req *productv1.GetCategoryRequest) (*productv1.GetCategoryResponse, error) {
	node, err := s.queries.Category(ctx, req.GetIdOrSlug())
	if err != nil {
		return nil, err
	}
	return &productv1.GetCategoryResponse{Category: fromNode(node)}, nil
}

func (s *catalogServer) ListCategories(ctx context.Context, _ *productv1.ListCategoriesRequest) (*productv1.ListCategoriesResponse, error) {
	roots, err := s.queries.Categories(ctx)
	if err != nil {
		return nil, err
	}
	return &productv1.ListCategoriesResponse{Categories: fromNodes(roots)}, nil
}

func (s *catalogServer) CreateProduct(ctx context.Context, req *productv1.CreateProductRequest) (*productv1.CreateProductResponse, error) {
	details, err := toProductDetails(req)
	if err != nil {
		return nil, err
	}
	product, err := s.catalog.CreateProduct(ctx, details)
	if err != nil {
		return nil, err
	}
	return &productv1.CreateProductResponse{Product: fromProduct(product)}, nil
}

func (s *catalogServer) UpdateCategory(ctx context.Context, req *productv1.UpdateCategoryRequest) (*productv1.UpdateCategoryResponse, error) {
	id, change, err := toCategoryChange(req)
	if err != nil {
		return nil, err
	}
	node, err := s.catalog.UpdateCategory(ctx, id, change, req.IfVersion)
	if err != nil {
		return nil, err
	}
	return &productv1.UpdateCategoryResponse{Category: fromNode(node)}, nil
}

func (s *catalogServer) DeleteCategory(ctx context.Context, req *productv1.DeleteCategoryRequest) (*productv1.DeleteCategoryResponse, error) {
	id, err := toID("category_id", req.GetCategoryId())
	if err != nil {
		return nil, err
	}
	if err := s.catalog.DeleteCategory(ctx, id, req.IfVersion); err != nil {
		return nil, err
	}
	return &productv1.DeleteCategoryResponse{}, nil
}

func (s *catalogServer) UpdateProduct(ctx context.Context, req *productv1.UpdateProductRequest) (*productv1.UpdateProductResponse, error) {
	id, change, err := toProductChange(req)
	if err != nil {
		return nil, err
	}
	product, err := s.catalog.UpdateProduct(ctx, id, change, req.IfVersion)
	if err != nil {
		return nil, err
	}
	return &productv1.UpdateProductResponse{Product: fromProduct(product)}, nil
}

func (s *catalogServer) ArchiveProduct(ctx context.Context, req *productv1.ArchiveProductRequest) (*productv1.ArchiveProductResponse, error) {
	id, err := toID("product_id", req.GetProductId())
	if err != nil {
		return nil, err
	}
	product, err := s.catalog.ArchiveProduct(ctx, id, req.IfVersion)
	if err != nil {
		return nil, err
	}
	return &productv1.ArchiveProductResponse{Product: fromProduct(product)}, nil
}

func (s *catalogServer) ImportProducts(ctx context.Context, req *productv1.ImportProductsRequest) (*productv1.ImportProductsResponse, error) {
	results, err := s.catalog.Import(ctx, toImport(req))
	if err != nil {
		return nil, err
	}
	return fromImport(req, results), nil
}

func (s *catalogServer) GetProduct(ctx context.Context, req *productv1.GetProductRequest) (*productv1.GetProductResponse, error) {
	product, err := s.queries.Product(ctx, viewer(ctx), req.GetIdOrSlug())
	if err != nil {
		return nil, err
	}
	return &productv1.GetProductResponse{Product: fromProduct(product)}, nil
}

func (s *catalogServer) BatchGetProducts(ctx context.Context, req *productv1.BatchGetProductsRequest) (*productv1.BatchGetProductsResponse, error) {
	ids, err := toIDs("product_ids", req.GetProductIds())
	if err != nil {
		return nil, err
	}
	products, err := s.queries.Products(ctx, viewer(ctx), ids)
	if err != nil {
		return nil, err
	}
	return &productv1.BatchGetProductsResponse{Products: fromProducts(products)}, nil
}

func (s *catalogServer) ListProducts(ctx context.Context, req *productv1.ListProductsRequest) (*productv1.ListProductsResponse, error) {
	query, err := toProductQuery(req)
	if err != nil {
		return nil, err
	}
	page, err := s.queries.FindProducts(ctx, viewer(ctx), query)
	if err != nil {
		return nil, err
	}
	return fromProductPage(query, page)
}

type stockServer struct {
	productv1.UnimplementedStockServiceServer
	stock   *usecase.Stock
	queries *usecase.Queries
}

func (s *stockServer) AdjustStock(ctx context.Context, req *productv1.AdjustStockRequest) (*productv1.AdjustStockResponse, error) {
	cmd, err := toAdjustStock(ctx, req)
	if err != nil {
		return nil, err
	}
	after, replayed, err := s.stock.Adjust(ctx, cmd)
	if err != nil {
		return nil, err
	}
	return &productv1.AdjustStockResponse{Stock: fromStock(after), Replayed: replayed}, nil
}

func (s *stockServer) ListStockLedger(ctx context.Context, req *productv1.ListStockLedgerRequest) (*productv1.ListStockLedgerResponse, error) {
	query, err := toLedgerQuery(req)
	if err != nil {
		return nil, err
	}
	page, err := s.queries.Ledger(ctx, query)
	if err != nil {
		return nil, err
	}
	return fromLedgerPage(query, page)
}

func (s *stockServer) ReserveStock(ctx context.Context, req *productv1.ReserveStockRequest) (*productv1.ReserveStockResponse, error) {
	orderID, lines, err := toReservation(req)
	if err != nil {
		return nil, err
	}
	expires, err := s.stock.Reserve(ctx, orderID, req.GetRevision(), lines, time.Duration(req.GetTtlSeconds())*time.Second)
	if err != nil {
		return nil, err
	}
	return &productv1.ReserveStockResponse{ExpiresAt: timestamppb.New(expires)}, nil
}

func (s *stockServer) ConfirmReservation(ctx context.Context, req *productv1.ConfirmReservationRequest) (*productv1.ConfirmReservationResponse, error) {
	orderID, err := toID("order_id", req.GetOrderId())
	if err != nil {
		return nil, err
	}
	if err := s.stock.Confirm(ctx, orderID); err != nil {
		return nil, err
	}
	return &productv1.ConfirmReservationResponse{}, nil
}

func (s *stockServer) ReleaseReservation(ctx context.Context, req *productv1.ReleaseReservationRequest) (*productv1.ReleaseReservationResponse, error) {
	orderID, err := toID("order_id", req.GetOrderId())
	if err != nil {
		return nil, err
	}
	kept, err := toLines(req.GetKept())
	if err != nil {
		return nil, err
	}
	if err := s.stock.Release(ctx, orderID, kept...); err != nil {
		return nil, err
	}
	return &productv1.ReleaseReservationResponse{}, nil
}
