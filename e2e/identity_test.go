package e2e

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	rpccodes "google.golang.org/grpc/codes" // the tests of authorization have codes of their own
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"

	"shop.example/e2e/internal/shop"
	"shop.example/platform/auth"
	"shop.example/platform/devca"
	"shop.example/platform/mtls"
	"shop.example/platform/token"
	cartv1 "shop.example/proto/cart/v1"
	orderv1 "shop.example/proto/order/v1"
	productv1 "shop.example/proto/product/v1"
	userv1 "shop.example/proto/user/v1"
)

// The services, as their certificates name them.
const (
	gateway        = "api-gateway"
	userService    = "user-service"
	productService = "product-service"
	cartService    = "cart-service"
	orderService   = "order-service"
)

var identities = []string{gateway, userService, productService, cartService, orderService}

// servers are the services that speak gRPC, and their contracts.
var servers = map[string]protoreflect.FileDescriptor{
	userService:    userv1.File_user_v1_user_proto,
	productService: productv1.File_product_v1_product_proto,
	cartService:    cartv1.File_cart_v1_cart_proto,
	orderService:   orderv1.File_order_v1_order_proto,
}

// caller is what a method demands: which services may call it, and on whose behalf.
type caller struct {
	services []string
	role     auth.Role // "" for a call that needs no user
}

// The usual demands. All but theShop and theOrders are for the gateway alone.
var (
	anybody   = caller{[]string{gateway}, ""}
	signedIn  = caller{[]string{gateway}, auth.Customer}
	theStaff  = caller{[]string{gateway}, auth.Staff}
	theAdmins = caller{[]string{gateway}, auth.Admin}
	theShop   = caller{[]string{gateway, productService, cartService, orderService}, ""} // everybody verifies access tokens
	theOrders = caller{[]string{orderService}, ""}
)

// methods is who may call what, written down a second time: a new method needs a decision here too.
var methods = map[protoreflect.FullName]caller{
	"user.v1.AuthService.Register":          anybody,
	"user.v1.AuthService.Login":             anybody,
	"user.v1.AuthService.Refresh":           anybody,
	"user.v1.AuthService.Logout":            signedIn,
	"user.v1.AuthService.ListSessions":      signedIn,
	"user.v1.AuthService.EndSession":        signedIn,
	"user.v1.AuthService.EndOtherSessions":  signedIn,
	"user.v1.AuthService.GetSigningKeys":    theShop,
	"user.v1.AuthService.ListEndedSessions": theShop,

	"user.v1.UserService.GetUser":          signedIn,
	"user.v1.UserService.UpdateProfile":    signedIn,
	"user.v1.UserService.ChangePassword":   signedIn,
	"user.v1.UserService.DeleteAccount":    signedIn,
	"user.v1.UserService.ListUsers":        theAdmins,
	"user.v1.UserService.SetUserAccess":    theAdmins,
	"user.v1.UserService.DeleteUser":       theAdmins,
	"user.v1.UserService.GetUserStatus":    {[]string{cartService, orderService}, ""},
	"user.v1.UserService.ListDeletedUsers": {[]string{cartService}, ""},

	"user.v1.AddressService.ListAddresses": signedIn,
	"user.v1.AddressService.GetAddress":    {[]string{gateway, orderService}, auth.Customer},
	"user.v1.AddressService.CreateAddress": signedIn,
	"user.v1.AddressService.UpdateAddress": signedIn,
	"user.v1.AddressService.DeleteAddress": signedIn,

	"product.v1.CatalogService.CreateCategory":     theStaff,
	"product.v1.CatalogService.GetCategory":        anybody,
	"product.v1.CatalogService.ListCategories":     anybody,
	"product.v1.CatalogService.CreateProduct":      theStaff,
	"product.v1.CatalogService.GetProduct":         anybody,
	"product.v1.CatalogService.BatchGetProducts":   {[]string{cartService, orderService}, ""},
	"product.v1.CatalogService.ListProducts":       anybody,
	"product.v1.CatalogService.UpdateCategory":     theStaff,
	"product.v1.CatalogService.DeleteCategory":     theStaff,
	"product.v1.CatalogService.UpdateProduct":      theStaff,
	"product.v1.CatalogService.ArchiveProduct":     theStaff,
	"product.v1.CatalogService.ImportProducts":     theStaff,
	"product.v1.StockService.ListStockLedger":      theStaff,
	"product.v1.StockService.AdjustStock":          theStaff,
	"product.v1.StockService.ReserveStock":         theOrders,
	"product.v1.StockService.ConfirmReservation":   theOrders,
	"product.v1.StockService.ReleaseReservation":   theOrders,
	"product.v1.StockService.RestockItems":         theOrders,
	"product.v1.StockService.ListReservations":     theOrders,
	"product.v1.StockService.BatchGetReservations": theOrders,

	"cart.v1.CartService.GetCart":         {[]string{gateway, orderService}, ""}, // without a user it is a guest's
	"cart.v1.CartService.AddItem":         anybody,
	"cart.v1.CartService.SetItem":         anybody,
	"cart.v1.CartService.RemoveItem":      anybody,
	"cart.v1.CartService.ClearCart":       anybody,
	"cart.v1.CartService.MergeCart":       signedIn,
	"cart.v1.CartService.RemovePurchased": theOrders,

	"order.v1.OrderService.ListShippingMethods": anybody,
	"order.v1.OrderService.PlaceOrder":          signedIn,
	"order.v1.OrderService.PayOrder":            signedIn,
	"order.v1.OrderService.GetOrder":            signedIn,
	"order.v1.OrderService.ListOrders":          signedIn,
	"order.v1.OrderService.CancelOrder":         signedIn,
	"order.v1.OrderService.QuoteOrder":          signedIn,
	"order.v1.OrderService.AddOrderItem":        signedIn,
	"order.v1.OrderService.RemoveOrderItem":     signedIn,
	"order.v1.OrderService.SetOrderStatus":      theStaff,
	"order.v1.OrderService.RefundOrder":         theStaff,
	"order.v1.OrderService.HandlePaymentEvent":  anybody,

	"order.v1.CouponService.ListCoupons":  theAdmins,
	"order.v1.CouponService.GetCoupon":    theAdmins,
	"order.v1.CouponService.CreateCoupon": theAdmins,
	"order.v1.CouponService.UpdateCoupon": theAdmins,
	"order.v1.CouponService.DeleteCoupon": theAdmins,

	"order.v1.WebhookService.ListWebhookEndpoints":  theAdmins,
	"order.v1.WebhookService.GetWebhookEndpoint":    theAdmins,
	"order.v1.WebhookService.CreateWebhookEndpoint": theAdmins,
	"order.v1.WebhookService.UpdateWebhookEndpoint": theAdmins,
	"order.v1.WebhookService.DeleteWebhookEndpoint": theAdmins,
	"order.v1.WebhookService.ListWebhookDeliveries": theAdmins,
	"order.v1.WebhookService.RedeliverWebhook":      theAdmins,
	"order.v1.AuditService.ListFindings":            theAdmins,
	"order.v1.AuditService.RepairFinding":           theAdmins,
}

// methodsOf are the methods of a service, as all files of its contract list them.
func methodsOf(server string) (all []protoreflect.MethodDescriptor) {
	protoregistry.GlobalFiles.RangeFilesByPackage(servers[server].Package(), func(file protoreflect.FileDescriptor) bool {
		for i := range file.Services().Len() {
			methods := file.Services().Get(i).Methods()
			for j := range methods.Len() {
				all = append(all, methods.Get(j))
			}
		}
		return true
	})
	return all
}

func keysOf(s *shop.Shop) string { return filepath.Join(s.Data(), "keys") }

// identity is what a service of the shop shows to a server.
func identity(t *testing.T, s *shop.Shop, service, server string) *tls.Config {
	t.Helper()
	source, err := mtls.Load(devca.Files(keysOf(s), service))
	if err != nil {
		t.Fatal(err)
	}
	return source.ClientTLS(server)
}

func grpcAddr(t *testing.T, s *shop.Shop, server string) string {
	t.Helper()
	for _, p := range s.Describe().Processes {
		if p.Name == server {
			return p.GRPC
		}
	}
	t.Fatalf("there is no %s", server)
	return ""
}

func dial(t *testing.T, s *shop.Shop, server string, with credentials.TransportCredentials) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+grpcAddr(t, s, server), grpc.WithTransportCredentials(with), grpc.WithNoProxy())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// call calls a method with an empty request, and with an access token unless it is "".
func call(t *testing.T, conn *grpc.ClientConn, method protoreflect.MethodDescriptor, raw string) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second) // the longest that a service takes
	defer cancel()
	if raw != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+raw)
	}
	path := "/" + string(method.Parent().FullName()) + "/" + string(method.Name())
	return conn.Invoke(ctx, path, dynamicpb.NewMessage(method.Input()), dynamicpb.NewMessage(method.Output()))
}

// wantCode fails the test unless a call ended with the code.
func wantCode(t *testing.T, what string, err error, want rpccodes.Code) {
	t.Helper()
	if status.Code(err) != want {
		t.Errorf("%s: want %v, got %v", what, want, err)
	}
}

func TestServersRefuseStrangers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := devca.Create(dir, []string{gateway}); err != nil {
		t.Fatal(err)
	}
	strange := pairOf(t, dir)
	expired := pairOf(t, expiredIdentity(t))
	for server := range servers {
		t.Run(server, func(t *testing.T) {
			t.Parallel()
			showing := func(pair *tls.Certificate) credentials.TransportCredentials {
				config := identity(t, shared, gateway, server)
				config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return pair, nil }
				return credentials.NewTLS(config)
			}
			old := identity(t, shared, gateway, server)
			old.MinVersion, old.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
			for name, tt := range map[string]struct {
				with credentials.TransportCredentials
				want rpccodes.Code
			}{
				"plaintext":                   {insecure.NewCredentials(), rpccodes.Unavailable},
				"no certificate":              {showing(&tls.Certificate{}), rpccodes.Unavailable},
				"a certificate of another CA": {showing(strange), rpccodes.Unavailable},
				"a certificate that is over":  {showing(expired), rpccodes.Unavailable},
				"TLS 1.2":                     {credentials.NewTLS(old), rpccodes.Unavailable},
				"the gateway's":               {showing(pairOf(t, keysOf(shared))), rpccodes.OK},
			} {
				_, err := healthv1.NewHealthClient(dial(t, shared, server, tt.with)).Check(t.Context(), &healthv1.HealthCheckRequest{})
				wantCode(t, name, err, tt.want)
			}
		})
	}
}

// pairOf is the gateway's certificate with its key in a folder.
func pairOf(t *testing.T, dir string) *tls.Certificate {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(devca.CertFile(dir, gateway), devca.KeyFile(dir, gateway))
	if err != nil {
		t.Fatal(err)
	}
	return &pair
}

// expiredIdentity returns a folder with a certificate for the gateway that the shop's own CA made too long ago.
func expiredIdentity(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{devca.CAFile, devca.CAKeyFile} {
		content, err := os.ReadFile(filepath.Join(keysOf(shared), name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := devca.Renew(dir, []string{gateway}, time.Now().Add(-91*24*time.Hour)); err != nil { // they live 90 days
		t.Fatal(err)
	}
	return dir
}

// TestCallers calls every method of every server as every service.
func TestCallers(t *testing.T) {
	t.Parallel()
	const refused = "this caller may not call this method"
	seen := 0
	for server := range servers {
		for _, method := range methodsOf(server) {
			seen++
			if _, decided := methods[method.FullName()]; !decided {
				t.Errorf("%s: nobody has decided who may call it", method.FullName())
			}
		}
		t.Run(server, func(t *testing.T) {
			t.Parallel()
			for _, as := range identities {
				conn := dial(t, shared, server, credentials.NewTLS(identity(t, shared, as, server)))
				for _, method := range methodsOf(server) {
					err := call(t, conn, method, "")
					demands, what := methods[method.FullName()], string(method.FullName())+" by "+as
					switch got := status.Convert(err); {
					case !slices.Contains(demands.services, as):
						if got.Code() != rpccodes.PermissionDenied || got.Message() != refused || len(got.Details()) > 0 {
							t.Errorf("%s: want a refusal of the caller, got %v", what, err)
						}
					case demands.role != "":
						wantCode(t, what+" for nobody", err, rpccodes.Unauthenticated)
					case got.Code() == rpccodes.PermissionDenied, got.Code() == rpccodes.Unimplemented, got.Code() == rpccodes.Unavailable, got.Code() == rpccodes.Internal:
						t.Errorf("%s: %v", what, err)
					}
				}
			}
		})
	}
	if seen != len(methods) {
		t.Errorf("the contracts have %d methods, this list has %d", seen, len(methods))
	}
	t.Logf("%d methods, %d identities", seen, len(identities))
}

// TestServersVerifyTokens shows every method that access tokens are checked behind the gateway once more.
func TestServersVerifyTokens(t *testing.T) {
	t.Parallel()
	made := func(role auth.Role) string {
		return shared.Sign(t, time.Now(), auth.Principal{UserID: uuid.NewString(), SessionID: uuid.NewString(), Role: role})
	}
	good := made(auth.Admin)
	bad := map[string]string{
		"garbage":          "garbage",
		"another issuer":   resign(t, good, token.Issuer, "https://evil.example"),
		"another audience": resign(t, good, token.Audience, "https://other.example"),
		"another key":      signedByAnother(t),
		"an expired token": shared.Sign(t, time.Now().Add(-token.Lifetime-time.Minute), auth.Principal{UserID: uuid.NewString(), SessionID: uuid.NewString(), Role: auth.Admin}),
	}
	// What the forged ones are made from is good: resigning alone changes nothing.
	if same := resign(t, good, "x", "x"); same != good {
		t.Fatal("the forge is broken")
	}
	for server := range servers {
		t.Run(server, func(t *testing.T) {
			t.Parallel()
			for _, as := range identities {
				conn := dial(t, shared, server, credentials.NewTLS(identity(t, shared, as, server)))
				for _, method := range methodsOf(server) {
					demands := methods[method.FullName()]
					if !slices.Contains(demands.services, as) {
						continue
					}
					what := string(method.FullName()) + " by " + as
					for name, raw := range bad {
						wantCode(t, what+" with "+name, call(t, conn, method, raw), rpccodes.Unauthenticated)
					}
					switch demands.role {
					case auth.Staff:
						wantCode(t, what+" for a customer", call(t, conn, method, made(auth.Customer)), rpccodes.PermissionDenied)
					case auth.Admin:
						wantCode(t, what+" for staff", call(t, conn, method, made(auth.Staff)), rpccodes.PermissionDenied)
					}
				}
			}
		})
	}
}

// resign returns a token with another text in its claims, signed with the shop's own key.
func resign(t *testing.T, raw, old, changed string) string {
	t.Helper()
	parts := strings.Split(raw, ".")
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(keysOf(shared), devca.SigningKeyFile))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	signed := parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(string(payload), old, changed, 1)))
	return signed + "." + base64.RawURLEncoding.EncodeToString(ed25519.Sign(key.(ed25519.PrivateKey), []byte(signed)))
}

func signedByAnother(t *testing.T) string {
	t.Helper()
	signer, err := token.NewSigner(newSigningKey(t), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := signer.Sign(auth.Principal{UserID: uuid.NewString(), SessionID: uuid.NewString(), Role: auth.Admin})
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// newSigningKey is a private key in PEM, as openssl genpkey makes one.
func newSigningKey(t *testing.T) []byte {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}
