package runner

import (
	"fmt"
	"maps"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"shop.example/platform/devca"
	"shop.example/platform/localstores/ports"
)

// The names of the programs that are mentioned one by one.
const (
	testpay        = "testpay"
	userService    = "user-service"
	productService = "product-service"
	cartService    = "cart-service"
	orderService   = "order-service"
	gateway        = "api-gateway"
)

// databases are PostgreSQL's, one for each service that has one, opened by its own role only.
var databases = []string{"users", "products", "orders"}

// service is one of the programs of the shop.
type service struct {
	name   string
	module string // its folder in the repository
	stage  int    // it starts when all of the stage before are ready, and stops before them
	env    func(*plan, instance) map[string]string
}

// The services, each after those that it asks. The stores are stage 0.
var services = []service{
	{testpay, "deploy/testpay", 1, func(p *plan, i instance) map[string]string {
		return map[string]string{
			"HTTP_ADDR": i.http, "LEDGER_FILE": p.data.at("testpay", "ledger.jsonl"), "API_KEY": p.testpayKey,
			"WEBHOOK_URL": p.url() + "/api/v1/payments/events/test", "WEBHOOK_SECRET": p.testpayWebhook,
		}
	}},
	{userService, "user-service", 1, func(p *plan, _ instance) map[string]string {
		return map[string]string{
			"DATABASE_URL": p.databases["users"], "SIGNING_KEY_FILE": p.data.at("keys", devca.SigningKeyFile), "RATE_LIMIT": p.rateLimit(),
		}
	}},
	{productService, "product-service", 2, func(p *plan, _ instance) map[string]string {
		return map[string]string{"DATABASE_URL": p.databases["products"], "USER_SERVICE_ADDR": p.grpc(userService)}
	}},
	{cartService, "cart-service", 3, func(p *plan, _ instance) map[string]string {
		return map[string]string{
			"REDIS_URL": p.redis["carts"], "USER_SERVICE_ADDR": p.grpc(userService), "PRODUCT_SERVICE_ADDR": p.grpc(productService),
			"CART_TOKEN_KEY_FILE": p.data.at("keys", devca.CartKeyFile),
		}
	}},
	{orderService, "order-service", 4, func(p *plan, _ instance) map[string]string {
		return map[string]string{
			"DATABASE_URL": p.databases["orders"], "USER_SERVICE_ADDR": p.grpc(userService),
			"PRODUCT_SERVICE_ADDR": p.grpc(productService), "CART_SERVICE_ADDR": p.grpc(cartService),
			"PAYMENT_PROVIDER": "test", "TESTPAY_URL": "http://" + p.instancesOf(testpay)[0].http, "TESTPAY_API_KEY": p.testpayKey,
			"TESTPAY_WEBHOOK_SECRET": p.testpayWebhook,
			// Receivers that are being developed run on this machine, too.
			"WEBHOOK_SECRET": p.webhookSecret, "WEBHOOK_ALLOW_PRIVATE": "true",
			// Who plants a mistake to see it found waits for a minute, not for two.
			"AUDIT_EVERY": "5s", "AUDIT_SETTLE": "30s",
		}
	}},
	{gateway, "api-gateway", 5, func(p *plan, i instance) map[string]string {
		return map[string]string{
			"HTTP_ADDR": i.http, "REDIS_URL": p.redis["limits"], "RATE_LIMIT": p.rateLimit(),
			"USER_SERVICE_ADDR": p.grpc(userService), "PRODUCT_SERVICE_ADDR": p.grpc(productService),
			"CART_SERVICE_ADDR": p.grpc(cartService), "ORDER_SERVICE_ADDR": p.grpc(orderService),
		}
	}},
}

// Services are the names of the shop's own services, those that have a certificate. The payment provider is the outside world.
func Services() []string {
	var names []string
	for _, s := range services {
		if s.name != testpay {
			names = append(names, s.name)
		}
	}
	return names
}

// instance is one process of a service. Its addresses are host:port, "" for a door that it does not have.
type instance struct {
	service           service
	replica           int
	grpc, admin, http string
	log               string
}

// ready are the URLs that all answer 200 when the process can work: what it says of itself, and its public door if it has one.
func (i instance) ready() []string {
	var urls []string
	if i.admin != "" {
		urls = append(urls, "http://"+i.admin+"/readyz")
	}
	if i.http != "" {
		urls = append(urls, "http://"+i.http+"/healthz")
	}
	return urls
}

// plan is who runs where: everything that the processes have to know of each other.
type plan struct {
	options        Options
	data           *dataFolder
	secrets        secrets
	testpayKey     string
	testpayWebhook string // what the provider signs its events with
	webhookSecret  string // what the secrets of webhook endpoints are derived from
	postgresPort   int
	redisPort      int
	instances      []instance
	databases      map[string]string // name to URL, with the credentials of its owner
	redis          map[string]string // purpose to URL
	reservedPorts  []int
}

// newPlan chooses the ports. They stay the same for as long as the stack lives, restarts of processes included.
func newPlan(o Options, data *dataFolder, s secrets) (_ *plan, err error) {
	p := &plan{options: o, data: data, secrets: s}
	defer func() {
		if err != nil {
			p.release()
		}
	}()
	if p.postgresPort, err = p.port(); err != nil {
		return nil, err
	}
	if p.redisPort, err = p.port(); err != nil {
		return nil, err
	}
	for _, service := range services {
		for replica := 1; replica <= max(1, o.Replicas[service.name]); replica++ {
			i, err := p.newInstance(service, replica)
			if err != nil {
				return nil, err
			}
			p.instances = append(p.instances, i)
		}
	}
	p.databases = map[string]string{}
	for _, name := range databases {
		p.databases[name] = fmt.Sprintf("postgres://%s:%s@%s/%s?sslmode=disable", roleOf(name), s.Databases[name], local(p.postgresPort), name)
	}
	// One server holds both: limits may be forgotten at any time, carts may not, but neither comes near the memory of a development machine.
	p.redis = map[string]string{
		"carts":  fmt.Sprintf("redis://default:%s@%s/0", s.Redis, local(p.redisPort)),
		"limits": fmt.Sprintf("redis://default:%s@%s/1", s.Redis, local(p.redisPort)),
	}
	return p, nil
}

func (p *plan) newInstance(s service, replica int) (instance, error) {
	i := instance{service: s, replica: replica, log: p.logFile(s.name, replica)}
	doors := []*string{&i.grpc, &i.admin}
	switch s.name {
	case testpay:
		doors = []*string{&i.http}
	case gateway:
		doors = []*string{&i.admin, &i.http}
		if replica == 1 && p.options.Port != 0 {
			doors, i.http = doors[:1], local(p.options.Port)
		}
	}
	for _, door := range doors {
		port, err := p.port()
		if err != nil {
			return instance{}, err
		}
		*door = local(port)
	}
	return i, nil
}

func (p *plan) port() (int, error) {
	port, err := ports.Reserve()
	if err == nil {
		p.reservedPorts = append(p.reservedPorts, port)
	}
	return port, err
}

func (p *plan) release() { ports.Release(p.reservedPorts...) }

func (p *plan) logFile(name string, replica int) string {
	return p.data.at("log", fmt.Sprintf("%s-%d.log", name, replica))
}

// binDir is where the programs are.
func (p *plan) binDir() string {
	if p.options.BinDir != "" {
		return p.options.BinDir
	}
	return p.data.at("bin")
}

func (p *plan) program(name string) string { return filepath.Join(p.binDir(), name) }

func (p *plan) instancesOf(name string) []instance {
	var found []instance
	for _, i := range p.instances {
		if i.service.name == name {
			found = append(found, i)
		}
	}
	return found
}

// grpc lists the addresses of a service's replicas, as *_SERVICE_ADDR wants them.
func (p *plan) grpc(name string) string {
	var addrs []string
	for _, i := range p.instancesOf(name) {
		addrs = append(addrs, i.grpc)
	}
	return strings.Join(addrs, ",")
}

// url is the shop's address.
func (p *plan) url() string { return "http://" + p.instancesOf(gateway)[0].http }

func (p *plan) rateLimit() string {
	if p.options.NoRateLimit {
		return "off"
	}
	return "on"
}

// env is the whole environment of a process: what any program needs, its addresses and files, what the service wants, and what
// the caller overrides.
func (p *plan) env(i instance) []string {
	env := baseEnv()
	if i.service.name != testpay {
		files := devca.Files(p.data.at("keys"), i.service.name)
		env["TLS_CERT_FILE"], env["TLS_KEY_FILE"], env["TLS_CA_FILE"] = files.CertFile, files.KeyFile, files.CAFile
		env["ADMIN_ADDR"] = i.admin
	}
	if i.grpc != "" {
		env["GRPC_ADDR"] = i.grpc
	}
	maps.Copy(env, i.service.env(p, i))
	maps.Copy(env, p.options.Env["*"])
	maps.Copy(env, p.options.Env[i.service.name])
	return list(env)
}

// commandEnv is the environment of a command of a service that works on its database and ends.
func (p *plan) commandEnv(service, database string, extra map[string]string) []string {
	env := baseEnv()
	env["DATABASE_URL"] = p.databases[database]
	maps.Copy(env, extra)
	maps.Copy(env, p.options.Env["*"])
	maps.Copy(env, p.options.Env[service])
	return list(env)
}

func list(env map[string]string) []string {
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(env)) {
		lines = append(lines, name+"="+env[name])
	}
	return lines
}

func local(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
