package httpapi

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	"shop.example/platform/apperr"
	"shop.example/platform/auth"
	userv1 "shop.example/proto/user/v1"
)

const (
	sessionID = "01890a5d-ac96-774b-bcce-b302099a8060"
	addressID = "01890a5d-ac96-774b-bcce-b302099a8061"
)

var ada = &userv1.User{
	Id: customerID, Email: "ada@example.com", Name: "Ada", Role: userv1.Role_ROLE_CUSTOMER, Status: userv1.UserStatus_USER_STATUS_ACTIVE,
	CreatedAt: &timestamppb.Timestamp{Seconds: 1772366400}, UpdatedAt: &timestamppb.Timestamp{Seconds: 1772366400},
}

var adaAsJSON = map[string]any{
	"id": customerID, "email": "ada@example.com", "name": "Ada", "role": "customer", "status": "active",
	"created_at": "2026-03-01T12:00:00Z", "updated_at": "2026-03-01T12:00:00Z",
}

var home = &userv1.Address{
	Id: addressID, Label: "Home", Recipient: "Ada", Line1: "1 Road", Line2: "Flat 2", City: "London", Region: "England", PostalCode: "SW1Y 4JH",
	Country: "GB", Phone: "+44", IsDefault: true,
}

var homeAsJSON = map[string]any{
	"id": addressID, "label": "Home", "recipient": "Ada", "line1": "1 Road", "line2": "Flat 2", "city": "London", "region": "England",
	"postal_code": "SW1Y 4JH", "country": "GB", "phone": "+44", "is_default": true,
}

// testDevice is what services are told of the client of a test.
var testDevice = &userv1.Device{UserAgent: "Test/1", Ip: "127.0.0.1"}

// TestIdentity makes each request of the identity part of the contract, and looks at what the service is asked and the
// client is answered.
func TestIdentity(t *testing.T) {
	t.Parallel()
	s := setup(t)
	total := int64(41)
	users, sessions, addresses := "/api/v1/users", "/api/v1/users/me/sessions", "/api/v1/users/me/addresses"
	newAddress := `{"label":"Home","recipient":"Ada","line1":"1 Road","line2":"Flat 2","city":"London","region":"England","postal_code":"SW1Y 4JH",` +
		`"country":"GB","phone":"+44","is_default":true}`
	session := &userv1.Session{
		Id: sessionID, Device: testDevice, OpenedAt: &timestamppb.Timestamp{Seconds: 1772366400},
		LastUsedAt: &timestamppb.Timestamp{Seconds: 1772366460}, ExpiresAt: &timestamppb.Timestamp{Seconds: 1774958460}, Current: true,
	}
	sessionAsJSON := map[string]any{
		"id": sessionID, "user_agent": "Test/1", "ip": "127.0.0.1", "created_at": "2026-03-01T12:00:00Z", "last_used_at": "2026-03-01T12:01:00Z",
		"expires_at": "2026-03-31T12:01:00Z", "current": true,
	}
	type object = map[string]any
	for name, c := range map[string]struct {
		role               auth.Role
		method, path, body string
		rpc                string
		asked, answer      proto.Message
		status             int
		want               object
	}{
		"who am I": {auth.Customer, "GET", users + "/me", "", "GetUser", &userv1.GetUserRequest{UserId: customerID}, &userv1.GetUserResponse{User: ada}, 200, adaAsJSON},
		"a new name": {auth.Customer, "PATCH", users + "/me", `{"name":"Ada K"}`, "UpdateProfile",
			&userv1.UpdateProfileRequest{Name: new("Ada K")}, &userv1.UpdateProfileResponse{User: ada}, 200, adaAsJSON},
		"a new address": {auth.Staff, "PATCH", users + "/me", `{"email":" ada@example.org "}`, "UpdateProfile",
			&userv1.UpdateProfileRequest{Email: new("ada@example.org")}, &userv1.UpdateProfileResponse{User: ada}, 200, adaAsJSON},
		"nothing new": {auth.Customer, "PATCH", users + "/me", `{}`, "UpdateProfile", &userv1.UpdateProfileRequest{}, &userv1.UpdateProfileResponse{User: ada}, 200, adaAsJSON},
		"I leave": {auth.Customer, "DELETE", users + "/me", `{"password":"hunter2"}`, "DeleteAccount",
			&userv1.DeleteAccountRequest{Password: "hunter2", Device: testDevice}, &userv1.DeleteAccountResponse{}, 204, nil},
		"a new password": {auth.Customer, "PUT", users + "/me/password", `{"current_password":"a","new_password":"new password"}`, "ChangePassword",
			&userv1.ChangePasswordRequest{CurrentPassword: "a", NewPassword: "new password", Device: testDevice}, &userv1.ChangePasswordResponse{}, 204, nil},

		"my sessions": {auth.Customer, "GET", sessions + "?page_size=7&page_token=t&include_total=true", "", "ListSessions",
			&userv1.ListSessionsRequest{PageSize: 7, PageToken: "t", IncludeTotal: true},
			&userv1.ListSessionsResponse{Sessions: []*userv1.Session{session}, NextPageToken: "n", TotalSize: &total}, 200,
			object{"items": []any{sessionAsJSON}, "next_page_token": "n", "total_size": 41.0}},
		"one session":    {auth.Customer, "DELETE", sessions + "/" + sessionID, "", "EndSession", &userv1.EndSessionRequest{SessionId: sessionID}, &userv1.EndSessionResponse{}, 204, nil},
		"other sessions": {auth.Customer, "DELETE", sessions, "", "EndOtherSessions", &userv1.EndOtherSessionsRequest{}, &userv1.EndOtherSessionsResponse{}, 204, nil},

		"my addresses": {auth.Customer, "GET", addresses, "", "ListAddresses", &userv1.ListAddressesRequest{PageSize: 20},
			&userv1.ListAddressesResponse{Addresses: []*userv1.Address{home}}, 200, object{"items": []any{homeAsJSON}}},
		"no addresses": {auth.Customer, "GET", addresses + "?page_size=100&page_token=t&include_total=true", "", "ListAddresses",
			&userv1.ListAddressesRequest{PageSize: 100, PageToken: "t", IncludeTotal: true}, &userv1.ListAddressesResponse{TotalSize: new(int64)}, 200,
			object{"items": []any{}, "total_size": 0.0}},
		"add an address": {auth.Customer, "POST", addresses, newAddress, "CreateAddress", &userv1.CreateAddressRequest{
			Label: "Home", Recipient: "Ada", Line1: "1 Road", Line2: "Flat 2", City: "London", Region: "England", PostalCode: "SW1Y 4JH", Country: "GB", Phone: "+44", IsDefault: true,
		}, &userv1.CreateAddressResponse{Address: home}, 201, homeAsJSON},
		"an address": {auth.Customer, "GET", addresses + "/" + addressID, "", "GetAddress", &userv1.GetAddressRequest{AddressId: addressID}, &userv1.GetAddressResponse{Address: home}, 200, homeAsJSON},
		"all of an address": {auth.Customer, "PATCH", addresses + "/" + addressID, newAddress, "UpdateAddress", &userv1.UpdateAddressRequest{
			AddressId: addressID, Label: new("Home"), Recipient: new("Ada"), Line1: new("1 Road"), Line2: new("Flat 2"), City: new("London"),
			Region: new("England"), PostalCode: new("SW1Y 4JH"), Country: new("GB"), Phone: new("+44"), IsDefault: new(true),
		}, &userv1.UpdateAddressResponse{Address: home}, 200, homeAsJSON},
		"parts of an address": {auth.Customer, "PATCH", addresses + "/" + addressID, `{"line2":"","is_default":false}`, "UpdateAddress",
			&userv1.UpdateAddressRequest{AddressId: addressID, Line2: new(""), IsDefault: new(false)}, &userv1.UpdateAddressResponse{Address: home}, 200, homeAsJSON},
		"nothing of an address": {auth.Customer, "PATCH", addresses + "/" + addressID, `{}`, "UpdateAddress",
			&userv1.UpdateAddressRequest{AddressId: addressID}, &userv1.UpdateAddressResponse{Address: home}, 200, homeAsJSON},
		"remove an address": {auth.Customer, "DELETE", addresses + "/" + addressID, "", "DeleteAddress", &userv1.DeleteAddressRequest{AddressId: addressID}, &userv1.DeleteAddressResponse{}, 204, nil},

		"find users": {auth.Admin, "GET", users + "?q=ad&role=staff&status=disabled&page_size=7&page_token=t&include_total=true", "", "ListUsers", &userv1.ListUsersRequest{
			Query: "ad", Role: userv1.Role_ROLE_STAFF, Status: userv1.UserStatus_USER_STATUS_DISABLED, PageSize: 7, PageToken: "t", IncludeTotal: true,
		}, &userv1.ListUsersResponse{Users: []*userv1.User{ada}, NextPageToken: "n", TotalSize: &total}, 200,
			object{"items": []any{adaAsJSON}, "next_page_token": "n", "total_size": 41.0}},
		"all users": {auth.Admin, "GET", users, "", "ListUsers", &userv1.ListUsersRequest{PageSize: 20}, &userv1.ListUsersResponse{}, 200, object{"items": []any{}}},
		"a user":    {auth.Admin, "GET", users + "/" + orderID, "", "GetUser", &userv1.GetUserRequest{UserId: orderID}, &userv1.GetUserResponse{User: ada}, 200, adaAsJSON},
		"promote": {auth.Admin, "PATCH", users + "/" + orderID, `{"role":"admin"}`, "SetUserAccess",
			&userv1.SetUserAccessRequest{UserId: orderID, Role: userv1.Role_ROLE_ADMIN.Enum()}, &userv1.SetUserAccessResponse{User: ada}, 200, adaAsJSON},
		"demote and disable": {auth.Admin, "PATCH", users + "/" + orderID, `{"role":"customer","status":"disabled"}`, "SetUserAccess",
			&userv1.SetUserAccessRequest{UserId: orderID, Role: userv1.Role_ROLE_CUSTOMER.Enum(), Status: userv1.UserStatus_USER_STATUS_DISABLED.Enum()},
			&userv1.SetUserAccessResponse{User: ada}, 200, adaAsJSON},
		"leave a user":  {auth.Admin, "PATCH", users + "/" + orderID, `{}`, "SetUserAccess", &userv1.SetUserAccessRequest{UserId: orderID}, &userv1.SetUserAccessResponse{User: ada}, 200, adaAsJSON},
		"delete a user": {auth.Admin, "DELETE", users + "/" + orderID, "", "DeleteUser", &userv1.DeleteUserRequest{UserId: orderID}, &userv1.DeleteUserResponse{}, 204, nil},
	} {
		s.on(c.rpc, c.answer)
		a := s.as(t, c.role, c.method, c.path, c.body, "User-Agent: Test/1")
		if diff := cmp.Diff(c.want, a.json); a.status != c.status || diff != "" {
			t.Errorf("%s: %d %s", name, a.status, diff)
		}
		if diff := cmp.Diff(c.asked, asked[proto.Message](t, s, c.rpc), protocmp.Transform()); diff != "" {
			t.Errorf("%s: the service is asked for something else: %s", name, diff)
		}
		if location := a.header.Get("Location"); a.status == 201 && location != addresses+"/"+addressID {
			t.Errorf("%s: it is at %q", name, location)
		}
		if a.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: Cache-Control is %q", name, a.header.Get("Cache-Control"))
		}
	}
}

// TestIdentityRefuses is what the gateway decides by itself: no service is asked.
func TestIdentityRefuses(t *testing.T) {
	t.Parallel()
	s := setup(t)
	users, me := "/api/v1/users", "/api/v1/users/me"
	address := `{"recipient":"Ada","line1":"1 Road","city":"London","country":"GB"}`
	for name, c := range map[string]struct {
		role               auth.Role
		method, path, body string
		status             int
		code               string
		locations          []string
	}{
		"a role of one's own":           {"", "POST", "/api/v1/auth/register", strings.Replace(goodRegistration, "{", `{"role":"admin",`, 1), 422, "validation_failed", []string{"body.role"}},
		"a status of one's own":         {"", "POST", "/api/v1/auth/register", strings.Replace(goodRegistration, "{", `{"status":"active",`, 1), 422, "validation_failed", []string{"body.status"}},
		"a role for me":                 {auth.Customer, "PATCH", me, `{"role":"admin"}`, 422, "validation_failed", []string{"body.role"}},
		"a status for me":               {auth.Admin, "PATCH", me, `{"name":"A","status":"active"}`, 422, "validation_failed", []string{"body.status"}},
		"a role along with a password":  {auth.Customer, "PUT", me + "/password", `{"current_password":"a","new_password":"12345678","role":"admin"}`, 422, "validation_failed", []string{"body.role"}},
		"another's address":             {auth.Customer, "POST", me + "/addresses", strings.Replace(address, "{", `{"user_id":"`+orderID+`",`, 1), 422, "validation_failed", []string{"body.user_id"}},
		"another's id":                  {auth.Customer, "PATCH", me + "/addresses/" + addressID, `{"id":"` + orderID + `"}`, 422, "validation_failed", []string{"body.id"}},
		"a name that is null":           {auth.Customer, "PATCH", me, `{"name":null,"email":null}`, 422, "validation_failed", []string{"body.email", "body.name"}},
		"a name that is a number":       {auth.Customer, "PATCH", me, `{"name":1}`, 422, "validation_failed", []string{"body.name"}},
		"no name":                       {auth.Customer, "PATCH", me, `{"name":""}`, 422, "validation_failed", []string{"body.name"}},
		"no e-mail address":             {auth.Customer, "PATCH", me, `{"email":"nobody"}`, 422, "validation_failed", []string{"body.email"}},
		"null":                          {auth.Customer, "PATCH", me, `null`, 422, "validation_failed", []string{"body"}},
		"a change of nothing at all":    {auth.Customer, "PATCH", me, ``, 400, "malformed_request", nil},
		"a deletion without a password": {auth.Customer, "DELETE", me, `{}`, 422, "validation_failed", []string{"body.password"}},
		"a deletion without a body":     {auth.Customer, "DELETE", me, ``, 400, "malformed_request", nil},
		"a deletion cut off":            {auth.Customer, "DELETE", me, `{"password":`, 400, "malformed_request", nil},
		"a deletion of too much":        {auth.Customer, "DELETE", me, `{"password":"` + strings.Repeat("x", maxBody) + `"}`, 413, "body_too_large", nil},
		"a short new password":          {auth.Customer, "PUT", me + "/password", `{"current_password":"a","new_password":"1234567"}`, 422, "validation_failed", []string{"body.new_password"}},
		"no current password":           {auth.Customer, "PUT", me + "/password", `{"new_password":"12345678"}`, 422, "validation_failed", []string{"body.current_password"}},
		"an address without a city":     {auth.Customer, "POST", me + "/addresses", strings.Replace(address, `"city":"London",`, "", 1), 422, "validation_failed", []string{"body.city"}},
		"an address in no country":      {auth.Customer, "POST", me + "/addresses", strings.Replace(address, "GB", "gb", 1), 422, "validation_failed", []string{"body.country"}},
		"a default that is null":        {auth.Customer, "PATCH", me + "/addresses/" + addressID, `{"is_default":null}`, 422, "validation_failed", []string{"body.is_default"}},
		"a default that is text":        {auth.Customer, "PATCH", me + "/addresses/" + addressID, `{"is_default":"true"}`, 422, "validation_failed", []string{"body.is_default"}},
		"an address of no id":           {auth.Customer, "GET", me + "/addresses/1", ``, 404, "not_found", nil},
		"a session of no id":            {auth.Customer, "DELETE", me + "/sessions/{" + sessionID + "}", ``, 404, "not_found", nil},
		"a user of no id":               {auth.Admin, "GET", users + "/ada@example.com", ``, 404, "not_found", nil},
		"a change to a user of no id":   {auth.Admin, "PATCH", users + "/urn:uuid:" + orderID, `{}`, 404, "not_found", nil},
		"an unknown role":               {auth.Admin, "PATCH", users + "/" + orderID, `{"role":"root"}`, 422, "validation_failed", []string{"body.role"}},
		"no role":                       {auth.Admin, "PATCH", users + "/" + orderID, `{"role":"","status":null}`, 422, "validation_failed", []string{"body.role", "body.status"}},
		"a role in capitals":            {auth.Admin, "PATCH", users + "/" + orderID, `{"role":"ADMIN"}`, 422, "validation_failed", []string{"body.role"}},
		"a user's name":                 {auth.Admin, "PATCH", users + "/" + orderID, `{"name":"x"}`, 422, "validation_failed", []string{"body.name"}},
		"a search of unknown roles":     {auth.Admin, "GET", users + "?role=root&status=gone&page_size=0", ``, 422, "validation_failed", []string{"query.page_size", "query.role", "query.status"}},
		"a search that is misspelt":     {auth.Admin, "GET", users + "?query=ada", ``, 422, "validation_failed", []string{"query.query"}},
		"staff look for users":          {auth.Staff, "GET", users, ``, 403, "permission_denied", nil},
		"staff promote themselves":      {auth.Staff, "PATCH", users + "/" + customerID, `{"role":"admin"}`, 403, "permission_denied", nil},
		"a customer's own user by id":   {auth.Customer, "GET", users + "/" + customerID, ``, 403, "permission_denied", nil},
	} {
		var headers []string
		if c.role != "" {
			headers = append(headers, "Authorization: Bearer "+s.token(t, c.role))
		}
		a := s.call(t, c.method, c.path, c.body, append(headers, "X-Forwarded-For: "+addressFor(name))...)
		a.mustBeProblem(t, c.status, c.code)
		if diff := cmp.Diff(c.locations, a.locations()); diff != "" {
			t.Errorf("%s: locations: %s in %s", name, diff, a.body)
		}
		if t.Failed() {
			t.Fatal(name)
		}
	}
	// A body of a DELETE is looked at like any other.
	a := s.as(t, auth.Customer, "DELETE", me, "password=a", "Content-Type: application/x-www-form-urlencoded")
	a.mustBeProblem(t, 415, "unsupported_media_type")
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.requests) > 0 {
		t.Errorf("services were asked: %v", s.requests)
	}
}

// TestIdentityErrorsOfTheService says where in the REST request the fault is.
func TestIdentityErrorsOfTheService(t *testing.T) {
	t.Parallel()
	s := setup(t)
	me := "/api/v1/users/me"
	for name, c := range map[string]struct {
		rpc                string
		err                error
		method, path, body string
		status             int
		code               string
		location           string
	}{
		"a well-known password":  {"Register", apperr.InvalidField("password", "is too common"), "POST", "/api/v1/auth/register", goodRegistration, 422, "validation_failed", "body.password"},
		"a well-known new one":   {"ChangePassword", apperr.InvalidField("new_password", "is too common"), "PUT", me + "/password", `{"current_password":"a","new_password":"12345678"}`, 422, "validation_failed", "body.new_password"},
		"a name of spaces":       {"UpdateProfile", apperr.InvalidField("name", "is empty"), "PATCH", me, `{"name":" "}`, 422, "validation_failed", "body.name"},
		"a taken address":        {"UpdateProfile", apperr.New(apperr.Conflict, "email_taken", "Taken."), "PATCH", me, `{"email":"a@example.com"}`, 409, "email_taken", ""},
		"a wrong password":       {"DeleteAccount", apperr.New(apperr.Unauthenticated, "invalid_credentials", "No."), "DELETE", me, `{"password":"a"}`, 401, "invalid_credentials", ""},
		"the last admin":         {"DeleteAccount", apperr.New(apperr.Conflict, "last_admin", "No."), "DELETE", me, `{"password":"a"}`, 409, "last_admin", ""},
		"too many guesses":       {"ChangePassword", apperr.New(apperr.TooMany, "rate_limited", "Slower.").WithAttribute("retry_after", int64(77)), "PUT", me + "/password", `{"current_password":"a","new_password":"12345678"}`, 429, "rate_limited", ""},
		"a session that is over": {"EndSession", apperr.Missing("session"), "DELETE", me + "/sessions/" + sessionID, "", 404, "not_found", ""},
		"a stale page":           {"ListSessions", apperr.InvalidField("page_token", "is of another list"), "GET", me + "/sessions?page_token=x", "", 422, "validation_failed", "query.page_token"},
		"a full book":            {"CreateAddress", apperr.New(apperr.Invalid, "address_limit", "Full."), "POST", me + "/addresses", `{"recipient":"A","line1":"1","city":"L","country":"GB"}`, 422, "address_limit", ""},
		"no such postal code":    {"UpdateAddress", apperr.InvalidField("postal_code", "is not of this country"), "PATCH", me + "/addresses/" + addressID, `{"postal_code":"1"}`, 422, "validation_failed", "body.postal_code"},
		"another's address":      {"GetAddress", apperr.Missing("address"), "GET", me + "/addresses/" + addressID, "", 404, "not_found", ""},
		"a search of too much":   {"ListUsers", apperr.InvalidField("query", "is too long"), "GET", "/api/v1/users?q=a", "", 422, "validation_failed", "query.q"},
		"no such user":           {"SetUserAccess", apperr.Missing("user"), "PATCH", "/api/v1/users/" + orderID, `{}`, 404, "not_found", ""},
		"the last admin, again":  {"SetUserAccess", apperr.New(apperr.Conflict, "last_admin", "No."), "PATCH", "/api/v1/users/" + orderID, `{"role":"staff"}`, 409, "last_admin", ""},
		"the last admin deleted": {"DeleteUser", apperr.New(apperr.Conflict, "last_admin", "No."), "DELETE", "/api/v1/users/" + orderID, "", 409, "last_admin", ""},
		"a key that is refused":  {"Refresh", apperr.InvalidField("idempotency_key", "is too long"), "POST", "/api/v1/auth/refresh", `{"refresh_token":"r"}`, 422, "validation_failed", "header.Idempotency-Key"},
	} {
		s.on(c.rpc, c.err)
		a := s.as(t, auth.Admin, c.method, c.path, c.body)
		a.mustBeProblem(t, c.status, c.code)
		if got := strings.Join(a.locations(), " "); got != c.location {
			t.Errorf("%s: the fault is at %q, want %q", name, got, c.location)
		}
		if c.status == 429 && a.header.Get("Retry-After") != "77" {
			t.Errorf("%s: Retry-After is %q", name, a.header.Get("Retry-After"))
		}
	}
}

func TestRefreshTakesAKey(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.on("Refresh", &userv1.RefreshResponse{User: ada, Tokens: &userv1.Tokens{AccessToken: "at", RefreshToken: "rt", ExpiresIn: int64((15 * time.Minute).Seconds())}})
	const path, body = "/api/v1/auth/refresh", `{"refresh_token":"r"}`
	for _, key := range []string{"", "one attempt", strings.Repeat("k", 255)} {
		if a := s.call(t, "POST", path, body, "Idempotency-Key: "+key, "User-Agent: Test/1"); a.status != 200 || a.json["refresh_token"] != "rt" {
			t.Errorf("%d %s", a.status, a.body)
		}
		want := &userv1.RefreshRequest{RefreshToken: "r", Device: testDevice, IdempotencyKey: key}
		if diff := cmp.Diff(want, asked[*userv1.RefreshRequest](t, s, "Refresh"), protocmp.Transform()); diff != "" {
			t.Error(diff)
		}
	}
	for _, key := range []string{"ä", strings.Repeat("k", 256)} {
		a := s.call(t, "POST", path, body, "Idempotency-Key: "+key)
		a.mustBeProblem(t, 400, "malformed_request")
		if diff := cmp.Diff([]string{"header.Idempotency-Key"}, a.locations()); diff != "" {
			t.Error(diff)
		}
	}
}
