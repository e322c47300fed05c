package runner

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// Summary says, on one screen, where everything is and what to try.
func (s *Stack) Summary(ctx context.Context) string {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "  %-10s %s\n", name, fmt.Sprintf(format, args...))
	}
	fmt.Fprintf(&b, "\nThe shop is ready after %.1f s.\n\n", time.Since(s.begin).Seconds())
	line("shop", "%s/api/v1", s.Gateway())
	line("docs", "%s/docs", s.Gateway())
	for _, account := range s.Accounts() {
		line(account.Role, "%s  %s", account.Email, account.Password)
	}
	var doors []string
	for _, i := range s.plan.instances {
		if i.admin != "" {
			doors = append(doors, fmt.Sprintf("http://%s  %s", i.admin, i.service.name))
		}
	}
	line("operations", "/metrics, /healthz and /readyz on each of:")
	for _, door := range doors {
		line("", "%s", door)
	}
	line("logs", "%s", s.plan.data.at("log"))
	line("tools", "%s says what runs", s.plan.data.at("stack.json"))
	fmt.Fprintf(&b, "\nTry, one after another:\n\n%s\n\n", strings.Join(s.examples(ctx), "\n\n"))
	if s.plan.options.NoDemo {
		b.WriteString("The catalogue is empty (--no-demo): the order needs a product first.\n\n")
	}
	b.WriteString("Ctrl-C stops everything.\n")
	return b.String()
}

// examples are commands to paste: they need curl and a POSIX shell with sed, and the last two belong together.
func (s *Stack) examples(ctx context.Context) []string {
	api, customer := s.Gateway()+"/api/v1", s.Accounts()[1]
	const inJSON = ` -H 'Content-Type: application/json' -d `
	return []string{
		fmt.Sprintf(`curl -sS '%s/products?in_stock=true&page_size=3'; echo`, api),

		fmt.Sprintf(`TOKEN=$(curl -sS '%s/auth/login'`+inJSON+`'{"email":"%s","password":"%s"}' | sed 's/.*"access_token" *: *"\([^"]*\)".*/\1/'); echo "$TOKEN"`,
			api, customer.Email, customer.Password),

		// The id is the last one on a page of one product, whatever the order of its fields; the key is new each time, so that
		// pasting the line twice is two orders.
		fmt.Sprintf(`PRODUCT=$(curl -sS '%[1]s/products?in_stock=true&page_size=1' | sed 's/.*"id" *: *"\([^"]*\)".*/\1/')`+
			` && curl -sS '%[1]s/cart/items' -H "Authorization: Bearer $TOKEN"`+inJSON+`"{\"product_id\":\"$PRODUCT\",\"quantity\":1}"`+
			` && curl -sS '%[1]s/orders' -H "Authorization: Bearer $TOKEN" -H "Idempotency-Key: order-$(date +%%s)-$$"`+inJSON+
			`'{"shipping_method":"%[2]s","shipping_address":{"recipient":"Demo Customer","line1":"1 Market Street","city":"Berlin","postal_code":"10115","country":"DE"},"payment":{"method":"card","token":"tok_ok"}}'; echo`,
			api, s.shippingMethod(ctx)),
	}
}
