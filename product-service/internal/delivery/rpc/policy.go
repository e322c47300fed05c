package rpc

import (
	"shop.example/platform/auth"
	"shop.example/platform/grpcserver"
	productv1 "shop.example/proto/product/v1"
)

// Policy says who may call what. Staff's methods demand the role here too, whatever the gateway has let through. The stock
// of an order moves on the word of order-service alone, also when no user waits for it any more.
var Policy = grpcserver.Policy{
	productv1.CatalogService_CreateCategory_FullMethodName:   {Callers: []string{grpcserver.Gateway}, Role: auth.Staff},
	productv1.CatalogService_GetCategory_FullMethodName:      {Callers: []string{grpcserver.Gateway}},
	productv1.CatalogService_ListCategories_FullMethodName:   {Callers: []string{grpcserver.Gateway}},
	productv1.CatalogService_UpdateCategory_FullMethodName:   {Callers: []string{grpcserver.Gateway}, Role: auth.Staff},
	productv1.CatalogService_DeleteCategory_FullMethodName:   {Callers: []string{grpcserver.Gateway}, Role: auth.Staff},
	productv1.CatalogService_CreateProduct_FullMethodName:    {Callers: []string{grpcserver.Gateway}, Role: auth.Staff},
	productv1.CatalogService_UpdateProduct_FullMethodName:    {Callers: []string{grpcserver.Gateway}, Role: auth.Staff},
	productv1.CatalogService_ArchiveProduct_FullMethodName:   {Callers: []string{grpcserver.Gateway}, Role: auth.Staff},
	productv1.CatalogService_ImportProducts_FullMethodName:   {Callers: []string{grpcserver.Gateway}, Role: auth.Staff},
	productv1.CatalogService_GetProduct_FullMethodName:       {Callers: []string{grpcserver.Gateway}},
	productv1.CatalogService_BatchGetProducts_FullMethodName: {Callers: []string{grpcserver.CartService, grpcserver.OrderService}},
	productv1.CatalogService_ListProducts_FullMethodName:     {Callers: []string{grpcserver.Gateway}},

	productv1.StockService_AdjustStock_FullMethodName:          {Callers: []string{grpcserver.Gateway}, Role: auth.Staff},
	productv1.StockService_ListStockLedger_FullMethodName:      {Callers: []string{grpcserver.Gateway}, Role: auth.Staff},
	productv1.StockService_ReserveStock_FullMethodName:         {Callers: []string{grpcserver.OrderService}},
	productv1.StockService_ConfirmReservation_FullMethodName:   {Callers: []string{grpcserver.OrderService}},
	productv1.StockService_ReleaseReservation_FullMethodName:   {Callers: []string{grpcserver.OrderService}},
	productv1.StockService_RestockItems_FullMethodName:         {Callers: []string{grpcserver.OrderService}},
	productv1.StockService_ListReservations_FullMethodName:     {Callers: []string{grpcserver.OrderService}},
	productv1.StockService_BatchGetReservations_FullMethodName: {Callers: []string{grpcserver.OrderService}},
}
