package rpc_test

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/emptypb"

	"shop.example/platform/apperr"
	"shop.example/platform/devca"
	"shop.example/platform/grpcclient"
	"shop.example/platform/grpcserver"
	"shop.example/platform/health"
	"shop.example/platform/logging"
	"shop.example/platform/mtls"
	"shop.example/platform/token"
	userv1 "shop.example/proto/user/v1"

	"shop.example/user-service/internal/delivery/rpc"
	"shop.example/user-service/internal/domain"
	"shop.example/user-service/internal/password"
	"shop.example/user-service/internal/repository/memory"
	"shop.example/user-service/internal/usecase"
)

const (
	address = "ann@example.com"
	secret  = "kettle-omnibus"
)

// lockedBuffer is a log that the server writes while the test reads.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// service is a server as it runs in production, but for its store.
type service struct {
	addr  string
	certs string
	log   *lockedBuffer
	store *memory.Store
	// revocations is asked to look by the test, which knows when it matters.
	revocations *token.Revocations
}

func setup(t *testing.T) *service {
	t.Helper()
	s := &service{certs: t.TempDir(), log: new(lockedBuffer), store: memory.New()}
	if err := devca.Create(s.certs, []string{"user-service", "api-gateway", "product-service", "cart-service", "order-service"}); err != nil {
		t.Fatal(err)
	}
	key, err := os.ReadFile(filepath.Join(s.certs, devca.SigningKeyFile))
	if err != nil {
		t.Fatal(err)
	}
	signer, err := token.NewSigner(key, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	log := logging.New(s.log, "user-service", slog.LevelDebug)
	hasher := password.NewHasher(password.Params{MemoryKiB: 64, Time: 1, Threads: 1}) // fast; nothing here depends on it
	throttle := usecase.NewThrottle(s.store, time.Now)
	sessions := usecase.NewSessions(s.store, s.store, hasher, throttle, signer, log, time.Now)
	useCases := rpc.UseCases{
		Sessions: sessions, Users: usecase.NewUsers(s.store), Profiles: usecase.NewProfiles(s.store, hasher, throttle, log, time.Now),
		Administration: usecase.NewAdministration(s.store, log, time.Now), Addresses: usecase.NewAddresses(s.store),
		Deletions: usecase.NewDeletions(s.store, time.Now),
	}
	verifier := token.NewVerifier(func(context.Context) ([]byte, error) { return signer.KeySet() }, grpcserver.TokenLeeway, time.Now)
	s.revocations = token.NewRevocations(func(ctx context.Context, since time.Time) (token.AccessChanges, error) {
		changes, err := sessions.Changes(ctx, since)
		return token.AccessChanges(changes), err
	}, log, time.Now)
	monitor := health.NewMonitor(log)
	server, err := grpcserver.New(grpcserver.Options{
		Service: "user-service", Addr: "127.0.0.1:0", TLS: s.tls(t, "user-service"), Log: log, Health: monitor,
		Tokens: s.revocations.Guard(verifier.Verify), Policy: rpc.Policy,
	}, func(r grpc.ServiceRegistrar) { rpc.Register(r, useCases, signer) })
	if err != nil {
		t.Fatal(err)
	}
	watch, serve := monitor.Component(), server.Component()
	if err := watch.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := serve.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- serve.Serve() }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := serve.Stop(ctx); err != nil {
			t.Errorf("stop: %v", err)
		}
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
		if err := watch.Stop(ctx); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	s.addr = server.Addr()
	return s
}

func (s *service) tls(t *testing.T, name string) *mtls.Source {
	t.Helper()
	source, err := mtls.Load(devca.Files(s.certs, name))
	if err != nil {
		t.Fatal(err)
	}
	return source
}

// dial returns a connection with the certificate of a service.
func (s *service) dial(t *testing.T, caller string) *grpcclient.Conn {
	t.Helper()
	conn, err := grpcclient.Dial(grpcclient.Options{
		Service: "user-service", Target: s.addr, TLS: s.tls(t, caller), Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// as returns clients with the certificate of a service.
func (s *service) as(t *testing.T, caller string) (userv1.AuthServiceClient, userv1.UserServiceClient) {
	t.Helper()
	conn := s.dial(t, caller)
	return userv1.NewAuthServiceClient(conn), userv1.NewUserServiceClient(conn)
}

// with returns a context whose calls bear an access token.
func with(ctx context.Context, accessToken string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+accessToken)
}

func register(t *testing.T, c userv1.AuthServiceClient, email string) *userv1.RegisterResponse {
	t.Helper()
	answer, err := c.Register(t.Context(), &userv1.RegisterRequest{
		Email: email, Password: secret, Name: "Ann", Device: &userv1.Device{UserAgent: "Test/1.0", Ip: "192.0.2.7"},
	})
	if err != nil {
		t.Fatalf("register: %v", err)
	}
	return answer
}

func wantErr(t *testing.T, what string, err error, kind apperr.Kind, reason string) {
	t.Helper()
	if err == nil || apperr.KindOf(err) != kind || apperr.ReasonOf(err) != reason {
		t.Errorf("%s: error %v (%v, %q), want %v, %q", what, err, apperr.KindOf(err), apperr.ReasonOf(err), kind, reason)
	}
}

func TestFromRegistrationToLogout(t *testing.T) {
	t.Parallel()
	s := setup(t)
	auth, users := s.as(t, "api-gateway")
	registered := register(t, auth, "Ann@Example.com")

	want := &userv1.User{
		Id: registered.GetUser().GetId(), Email: address, Name: "Ann",
		Role: userv1.Role_ROLE_CUSTOMER, Status: userv1.UserStatus_USER_STATUS_ACTIVE,
		CreatedAt: registered.GetUser().GetCreatedAt(), UpdatedAt: registered.GetUser().GetCreatedAt(),
	}
	if diff := cmp.Diff(want, registered.GetUser(), protocmp.Transform()); diff != "" {
		t.Errorf("user (-want +got):\n%s", diff)
	}
	if uuid.Validate(want.GetId()) != nil || time.Since(want.GetCreatedAt().AsTime()).Abs() > time.Minute {
		t.Errorf("id %q, created at %v", want.GetId(), want.GetCreatedAt().AsTime())
	}
	if got := registered.GetTokens().GetExpiresIn(); got != 900 {
		t.Errorf("expires in %d s, want 900", got)
	}

	got, err := users.GetUser(with(t.Context(), registered.GetTokens().GetAccessToken()), &userv1.GetUserRequest{UserId: want.GetId()})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got.GetUser(), protocmp.Transform()); diff != "" {
		t.Errorf("user (-want +got):\n%s", diff)
	}

	refreshed, err := auth.Refresh(t.Context(), &userv1.RefreshRequest{RefreshToken: registered.GetTokens().GetRefreshToken()})
	if err != nil {
		t.Fatal(err)
	}
	loggedIn, err := auth.Login(t.Context(), &userv1.LoginRequest{Email: address, Password: secret})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, loggedIn.GetUser(), protocmp.Transform()); diff != "" {
		t.Errorf("user (-want +got):\n%s", diff)
	}

	if _, err := auth.Logout(with(t.Context(), refreshed.GetTokens().GetAccessToken()), &userv1.LogoutRequest{}); err != nil {
		t.Fatal(err)
	}
	_, err = auth.Refresh(t.Context(), &userv1.RefreshRequest{RefreshToken: refreshed.GetTokens().GetRefreshToken()})
	wantErr(t, "refresh after the logout", err, apperr.Unauthenticated, "unauthenticated")
	if _, err := auth.Refresh(t.Context(), &userv1.RefreshRequest{RefreshToken: loggedIn.GetTokens().GetRefreshToken()}); err != nil {
		t.Errorf("the other session is over too: %v", err)
	}
	_, err = auth.Refresh(t.Context(), &userv1.RefreshRequest{RefreshToken: loggedIn.GetTokens().GetRefreshToken()})
	wantErr(t, "the spent token", err, apperr.Unauthenticated, "refresh_token_reused")
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	s := setup(t)
	auth, users := s.as(t, "api-gateway")
	ann, bob := register(t, auth, address), register(t, auth, "bob@example.com")

	_, err := auth.Register(t.Context(), &userv1.RegisterRequest{Email: address, Password: secret, Name: "Ann"})
	wantErr(t, "taken", err, apperr.Conflict, "email_taken")
	_, err = auth.Register(t.Context(), &userv1.RegisterRequest{Email: "ann", Password: "short", Name: ""})
	wantErr(t, "nonsense", err, apperr.Invalid, "validation_failed")
	_, err = auth.Register(t.Context(), &userv1.RegisterRequest{Email: "new@example.com", Password: "Password123", Name: "Ann"})
	wantErr(t, "common password", err, apperr.Invalid, "validation_failed")
	if v := apperr.From(err).Violations; len(v) != 1 || v[0].Location != "password" {
		t.Errorf("violations %+v, want one at password", v)
	}

	var texts []string
	for _, r := range []*userv1.LoginRequest{
		{Email: address, Password: "wrong"}, {Email: "nobody@example.com", Password: secret}, {Email: "\x00", Password: ""}, {},
	} {
		_, err := auth.Login(t.Context(), r)
		wantErr(t, "login", err, apperr.Unauthenticated, "invalid_credentials")
		texts = append(texts, err.Error())
	}
	for _, text := range texts {
		if text != texts[0] {
			t.Errorf("answers differ: %q and %q", texts[0], text)
		}
	}

	annsToken := with(t.Context(), ann.GetTokens().GetAccessToken())
	_, err = users.GetUser(annsToken, &userv1.GetUserRequest{UserId: bob.GetUser().GetId()})
	wantErr(t, "another's profile", err, apperr.NotFound, "not_found")
	_, err = users.GetUser(annsToken, &userv1.GetUserRequest{UserId: uuid.NewString()})
	wantErr(t, "nobody's profile", err, apperr.NotFound, "not_found")
	_, err = users.GetUser(annsToken, &userv1.GetUserRequest{UserId: "1 OR 1=1"})
	wantErr(t, "no id", err, apperr.Invalid, "validation_failed")
	_, err = users.GetUser(t.Context(), &userv1.GetUserRequest{UserId: ann.GetUser().GetId()})
	wantErr(t, "anonymous", err, apperr.Unauthenticated, "unauthenticated")
	_, err = users.GetUser(with(t.Context(), "made.up.token"), &userv1.GetUserRequest{UserId: ann.GetUser().GetId()})
	wantErr(t, "made up token", err, apperr.Unauthenticated, "unauthenticated")
	_, err = auth.Logout(t.Context(), &userv1.LogoutRequest{})
	wantErr(t, "anonymous logout", err, apperr.Unauthenticated, "unauthenticated")
	_, err = auth.Refresh(t.Context(), &userv1.RefreshRequest{RefreshToken: "made up"})
	wantErr(t, "made up refresh token", err, apperr.Unauthenticated, "unauthenticated")
}

func TestAdminReadsAnybody(t *testing.T) {
	t.Parallel()
	s := setup(t)
	auth, users := s.as(t, "api-gateway")
	ann := register(t, auth, address)
	hasher := password.NewHasher(password.Params{MemoryKiB: 64, Time: 1, Threads: 1})
	if _, err := usecase.BootstrapAdmin(t.Context(), s.store, hasher, "admin@shop.example", secret, time.Now); err != nil {
		t.Fatal(err)
	}
	admin, err := auth.Login(t.Context(), &userv1.LoginRequest{Email: "admin@shop.example", Password: secret})
	if err != nil {
		t.Fatal(err)
	}
	if got := admin.GetUser().GetRole(); got != userv1.Role_ROLE_ADMIN {
		t.Errorf("role %v, want admin", got)
	}
	got, err := users.GetUser(with(t.Context(), admin.GetTokens().GetAccessToken()), &userv1.GetUserRequest{UserId: ann.GetUser().GetId()})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(ann.GetUser(), got.GetUser(), protocmp.Transform()); diff != "" {
		t.Errorf("user (-want +got):\n%s", diff)
	}
}

func TestStatusForServices(t *testing.T) {
	t.Parallel()
	s := setup(t)
	auth, _ := s.as(t, "api-gateway")
	ann := register(t, auth, address)
	for _, caller := range []string{"cart-service", "order-service"} {
		_, users := s.as(t, caller)
		got, err := users.GetUserStatus(t.Context(), &userv1.GetUserStatusRequest{UserId: ann.GetUser().GetId()})
		if err != nil || got.GetStatus() != userv1.UserStatus_USER_STATUS_ACTIVE {
			t.Errorf("%s: status %v, error %v; want active", caller, got.GetStatus(), err)
		}
		_, err = users.GetUserStatus(t.Context(), &userv1.GetUserStatusRequest{UserId: uuid.NewString()})
		wantErr(t, caller+", nobody", err, apperr.NotFound, "not_found")
	}
}

// The keys that are published verify the tokens that are issued.
func TestSigningKeys(t *testing.T) {
	t.Parallel()
	s := setup(t)
	auth, _ := s.as(t, "api-gateway")
	ann := register(t, auth, address)
	for _, caller := range []string{"api-gateway", "product-service", "cart-service", "order-service"} {
		keys, _ := s.as(t, caller)
		verifier := token.NewVerifier(func(ctx context.Context) ([]byte, error) {
			answer, err := keys.GetSigningKeys(ctx, &userv1.GetSigningKeysRequest{})
			return answer.GetJwks(), err
		}, 0, time.Now)
		p, err := verifier.Verify(t.Context(), ann.GetTokens().GetAccessToken())
		if err != nil || p.UserID != ann.GetUser().GetId() {
			t.Errorf("%s: principal %+v, error %v", caller, p.UserID, err)
		}
	}
}

// Every method is refused to every service that its rule does not name.
func TestCallersAreChecked(t *testing.T) {
	t.Parallel()
	s := setup(t)
	refused := 0
	for _, caller := range []string{"api-gateway", "product-service", "cart-service", "order-service", "user-service"} {
		conn := s.dial(t, caller)
		for method, rule := range rpc.Policy {
			// An empty message is a request of every method. Whether it is a good one is asked later.
			err := conn.Invoke(t.Context(), method, new(emptypb.Empty), new(emptypb.Empty))
			noted := strings.Contains(s.log.String(), `\"`+caller+`\" may not call `+method+`"`)
			switch allowed := slices.Contains(rule.Callers, caller); {
			case allowed && noted:
				t.Errorf("%s may call %s, but was refused: %v", caller, method, err)
			case !allowed && (err == nil || !noted):
				t.Errorf("%s called %s: error %v, want it refused", caller, method, err)
			case !allowed:
				refused++
			}
		}
	}
	if refused != 84 {
		t.Errorf("%d calls were refused, want 84 of 115", refused)
	}
}

// At the most talkative level, neither a password, a token, a hash nor an address reaches the log.
func TestNoSecretsInLogs(t *testing.T) {
	t.Parallel()
	s := setup(t)
	auth, users := s.as(t, "api-gateway")
	registered := register(t, auth, address)
	user, err := s.store.User(t.Context(), uuid.MustParse(registered.GetUser().GetId()))
	if err != nil {
		t.Fatal(err)
	}
	leaks := []string{
		secret, address, "Test/1.0", "192.0.2.7", "$argon2id", user.PasswordHash(),
		registered.GetTokens().GetAccessToken(), registered.GetTokens().GetRefreshToken(),
	}
	attempt := func(_ any, _ error) {} // the answers are other tests' matter
	attempt(auth.Register(t.Context(), &userv1.RegisterRequest{Email: address, Password: secret, Name: "Ann"}))
	attempt(auth.Register(t.Context(), &userv1.RegisterRequest{Email: "x" + address + "@", Password: secret, Name: "Ann"}))
	attempt(auth.Login(t.Context(), &userv1.LoginRequest{Email: address, Password: secret + "!"}))
	attempt(auth.Login(t.Context(), &userv1.LoginRequest{Email: address, Password: secret}))
	attempt(users.GetUser(with(t.Context(), registered.GetTokens().GetAccessToken()), &userv1.GetUserRequest{UserId: address}))
	attempt(users.GetUser(with(t.Context(), registered.GetTokens().GetAccessToken()+"x"), &userv1.GetUserRequest{UserId: user.ID().String()}))
	refreshed, err := auth.Refresh(t.Context(), &userv1.RefreshRequest{RefreshToken: registered.GetTokens().GetRefreshToken()})
	if err != nil {
		t.Fatal(err)
	}
	leaks = append(leaks, refreshed.GetTokens().GetAccessToken(), refreshed.GetTokens().GetRefreshToken())
	attempt(auth.Refresh(t.Context(), &userv1.RefreshRequest{RefreshToken: registered.GetTokens().GetRefreshToken()}))
	bearer := with(t.Context(), refreshed.GetTokens().GetAccessToken())
	leaks = append(leaks, "client's own key", another, "other@example.com", "Renamed")
	attempt(auth.Refresh(t.Context(), &userv1.RefreshRequest{RefreshToken: "made up", IdempotencyKey: "client's own key"}))
	attempt(users.UpdateProfile(bearer, &userv1.UpdateProfileRequest{Name: new("Renamed"), Email: new("other@example.com")}))
	attempt(users.ChangePassword(bearer, &userv1.ChangePasswordRequest{CurrentPassword: secret, NewPassword: another}))
	attempt(users.DeleteAccount(bearer, &userv1.DeleteAccountRequest{Password: secret}))
	attempt(auth.Logout(with(t.Context(), refreshed.GetTokens().GetAccessToken()), &userv1.LogoutRequest{}))

	log := s.log.String()
	if !strings.Contains(log, "email_taken") || !strings.Contains(log, "refresh_token_reused") {
		t.Fatalf("the log is not the one that is meant:\n%s", log)
	}
	for _, leak := range leaks {
		if strings.Contains(log, leak) {
			t.Errorf("%q was logged", leak)
		}
	}
}

// Twenty clients register the same address at once: one has it.
func TestRegistrationRace(t *testing.T) {
	t.Parallel()
	s := setup(t)
	auth, _ := s.as(t, "api-gateway")
	var (
		wg   sync.WaitGroup
		errs = make([]error, 20)
	)
	for i := range errs {
		wg.Go(func() {
			_, errs[i] = auth.Register(t.Context(), &userv1.RegisterRequest{Email: address, Password: secret, Name: "Ann"})
		})
	}
	wg.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
			continue
		}
		wantErr(t, "register", err, apperr.Conflict, domain.ErrEmailTaken.Reason)
	}
	if won != 1 {
		t.Errorf("%d registered, want 1", won)
	}
}
