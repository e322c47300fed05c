package rpc

import (
	"fmt"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/timestamppb"

	"shop.example/order-service/internal/domain"
	"shop.example/order-service/internal/usecase"
	"shop.example/platform/apperr"
	"shop.example/platform/auth"
	"shop.example/platform/money"
	moneyv1 "shop.example/proto/money/v1"
	orderv1 "shop.example/proto/order/v1"
)

var statuses = map[domain.Status]orderv1.OrderStatus{
	domain.Pending:    orderv1.OrderStatus_ORDER_STATUS_PENDING,
	domain.Confirmed:  orderv1.OrderStatus_ORDER_STATUS_CONFIRMED,
	domain.Processing: orderv1.OrderStatus_ORDER_STATUS_PROCESSING,
	domain.Shipped:    orderv1.OrderStatus_ORDER_STATUS_SHIPPED,
	domain.Delivered:  orderv1.OrderStatus_ORDER_STATUS_DELIVERED,
	domain.Cancelled:  orderv1.OrderStatus_ORDER_STATUS_CANCELLED,
	domain.Refunded:   orderv1.OrderStatus_ORDER_STATUS_REFUNDED,
}

var paymentStatuses = map[domain.PaymentStatus]orderv1.PaymentStatus{
	domain.PaymentNone:              orderv1.PaymentStatus_PAYMENT_STATUS_NONE,
	domain.PaymentPending:           orderv1.PaymentStatus_PAYMENT_STATUS_PENDING,
	domain.PaymentAuthorized:        orderv1.PaymentStatus_PAYMENT_STATUS_AUTHORIZED,
	domain.PaymentCaptured:          orderv1.PaymentStatus_PAYMENT_STATUS_CAPTURED,
	domain.PaymentVoided:            orderv1.PaymentStatus_PAYMENT_STATUS_VOIDED,
	domain.PaymentPartiallyRefunded: orderv1.PaymentStatus_PAYMENT_STATUS_PARTIALLY_REFUNDED,
	domain.PaymentRefunded:          orderv1.PaymentStatus_PAYMENT_STATUS_REFUNDED,
	domain.PaymentFailed:            orderv1.PaymentStatus_PAYMENT_STATUS_FAILED,
}

var methods = map[domain.PaymentMethod]orderv1.PaymentMethod{
	domain.Card:           orderv1.PaymentMethod_PAYMENT_METHOD_CARD,
	domain.CashOnDelivery: orderv1.PaymentMethod_PAYMENT_METHOD_CASH_ON_DELIVERY,
}

// named is the inverse of the maps above; validation has seen to it that there is one.
func named[K, V comparable](m map[K]V, value V) K {
	for k, v := range m {
		if v == value {
			return k
		}
	}
	var none K
	return none
}

func toID(field, raw string) (uuid.UUID, error) {
	id, err := uuid.Parse(raw)
	if err != nil {
		return uuid.Nil, apperr.InvalidField(field, "is not a UUID")
	}
	return id, nil
}

func toPlaceOrder(caller auth.Principal, req *orderv1.PlaceOrderRequest) (usecase.PlaceOrder, error) {
	userID, err := uuid.Parse(caller.UserID)
	if err != nil {
		return usecase.PlaceOrder{}, fmt.Errorf("read the caller's id: %w", err)
	}
	a := req.GetShippingAddress()
	wish := usecase.PlaceOrder{
		UserID: userID, Key: req.GetIdempotencyKey(),
		Address: domain.Address{
			Recipient: a.GetRecipient(), Line1: a.GetLine1(), Line2: a.GetLine2(), City: a.GetCity(), Region: a.GetRegion(),
			PostalCode: a.GetPostalCode(), Country: a.GetCountry(), Phone: a.GetPhone(),
		},
		ShippingMethod: req.GetShippingMethod(), Method: named(methods, req.GetPaymentMethod()),
		Token: req.GetPaymentToken(), CouponCode: req.GetCouponCode(),
	}
	if e := req.GetExpectedTotal(); e != nil {
		wish.ExpectedTotal = &usecase.ExpectedTotal{Amount: e.GetAmount(), Currency: e.GetCurrency()}
	}
	if raw := req.GetAddressId(); raw != "" {
		if wish.AddressID, err = toID("address_id", raw); err != nil {
			return usecase.PlaceOrder{}, err
		}
	}
	wish.Items, err = toLines(req.GetItems())
	return wish, err
}

func toPayOrder(req *orderv1.PayOrderRequest) (usecase.PayOrder, error) {
	id, err := toID("order_id", req.GetOrderId())
	return usecase.PayOrder{
		Key: req.GetIdempotencyKey(), OrderID: id, Method: named(methods, req.GetPaymentMethod()), Token: req.GetPaymentToken(),
		IfVersion: req.IfVersion,
	}, err
}

func toListOrders(req *orderv1.ListOrdersRequest) (usecase.ListOrders, error) {
	list := usecase.ListOrders{
		PageSize: int(req.GetPageSize()), PageToken: req.GetPageToken(), IncludeTotal: req.GetIncludeTotal(),
	}
	if s := req.GetStatus(); s != orderv1.OrderStatus_ORDER_STATUS_UNSPECIFIED {
		list.Status = named(statuses, s)
	}
	if raw := req.GetUserId(); raw != "" {
		var err error
		if list.UserID, err = toID("user_id", raw); err != nil {
			return usecase.ListOrders{}, err
		}
	}
	return list, nil
}

func fromMoney(m money.Money) *moneyv1.Money {
	return &moneyv1.Money{Amount: m.Amount(), Currency: m.Currency()}
}

func fromShippingMethods(all domain.ShippingMethods) *orderv1.ListShippingMethodsResponse {
	answer := &orderv1.ListShippingMethodsResponse{}
	for _, m := range all {
		answer.Methods = append(answer.Methods, &orderv1.ShippingMethod{
			Id: m.ID, Name: m.Name, Price: fromMoney(m.Price), MinDays: m.MinDays, MaxDays: m.MaxDays,
		})
	}
	return answer
}

func fromOrderPage(page usecase.OrderPage) *orderv1.ListOrdersResponse {
	answer := &orderv1.ListOrdersResponse{NextPageToken: page.NextPageToken, TotalSize: page.Total}
	for _, o := range page.Orders {
		answer.Orders = append(answer.Orders, fromOrder(o))
	}
	return answer
}

func fromItems(items []domain.Item) []*orderv1.OrderItem {
	all := make([]*orderv1.OrderItem, len(items))
	for i, item := range items {
		all[i] = &orderv1.OrderItem{
			Id: item.ID.String(), ProductId: item.ProductID.String(), Sku: item.SKU, Name: item.Name, Quantity: item.Quantity,
			UnitPrice: fromMoney(item.UnitPrice), LineTotal: fromMoney(item.LineTotal),
		}
		if item.ID == uuid.Nil { // of a quote
			all[i].Id = ""
		}
	}
	return all
}

func fromOrder(s domain.Snapshot) *orderv1.Order {
	a := s.ShippingAddress
	o := &orderv1.Order{
		Id: s.ID.String(), Number: s.Number, UserId: s.UserID.String(), Status: statuses[s.Status], Items: fromItems(s.Items),
		Subtotal: fromMoney(s.Subtotal), Discount: fromMoney(s.Discount), Shipping: fromMoney(s.Shipping),
		Total: fromMoney(s.Total), Currency: s.Total.Currency(),
		ShippingAddress: &orderv1.Address{
			Recipient: a.Recipient, Line1: a.Line1, Line2: a.Line2, City: a.City, Region: a.Region,
			PostalCode: a.PostalCode, Country: a.Country, Phone: a.Phone,
		},
		ShippingMethod: s.ShippingMethod, CouponCode: s.CouponCode,
		Payment: &orderv1.Payment{
			Status: paymentStatuses[s.Payment.Status], Method: methods[s.Payment.Method],
			Provider: s.Payment.Provider, Reference: s.Payment.Reference, Refunded: fromMoney(s.GivenBack()),
		},
		Version: s.Version, CreatedAt: timestamppb.New(s.CreatedAt), UpdatedAt: timestamppb.New(s.UpdatedAt),
		Tracking: s.Tracking, Refunds: fromRefunds(s.Refunds),
	}
	for _, h := range s.History {
		o.History = append(o.History, &orderv1.HistoryEntry{Status: statuses[h.Status], At: timestamppb.New(h.At), By: h.By, Note: h.Note})
	}
	return o
}
