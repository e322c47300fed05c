package runner

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"shop.example/platform/devca"
	"shop.example/platform/localstores"
	"shop.example/platform/localstores/ports"
)

// The names of the stores among the processes.
const (
	postgresName = "postgres"
	redisName    = "redis"
)

const lastStage = 5

// Start starts the shop. When it fails, or ctx ends first, everything that was started is stopped again.
func Start(ctx context.Context, o Options) (*Stack, error) {
	o, err := o.complete()
	if err != nil {
		return nil, err
	}
	begin, progress := time.Now(), newProgress(o.Output)
	plan, err := prepare(o)
	if err != nil {
		return nil, err
	}
	s := &Stack{plan: plan, progress: progress, begin: begin}
	if err := s.start(ctx); err != nil {
		stopErr := s.Stop(context.WithoutCancel(ctx))
		if ctx.Err() != nil {
			err = ctx.Err() // whatever else went wrong followed from that
		}
		return nil, errors.Join(err, stopErr)
	}
	return s, nil
}

// prepare finds out what can be found out before anything is done: whether the port is free and the folder can be written to.
func prepare(o Options) (_ *plan, err error) {
	if o.Port != 0 {
		if err := ports.Free(o.Port); err != nil {
			return nil, fmt.Errorf("%w: choose another with --port", err)
		}
	}
	data, err := openData(o.Data)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, data.close())
		}
	}()
	if o.Reset {
		if err := data.reset(); err != nil {
			return nil, err
		}
	}
	if err := data.prepare(); err != nil {
		return nil, err
	}
	if err := removeDescription(data.at("stack.json")); err != nil { // of a run that was killed
		return nil, err
	}
	s, err := loadSecrets(data)
	if err != nil {
		return nil, err
	}
	return newPlan(o, data, s)
}

func (s *Stack) start(ctx context.Context) error {
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.startStores(groupCtx) })
	group.Go(func() error { return s.makeKeys() })
	if s.plan.options.BinDir == "" {
		group.Go(func() error {
			o := s.plan.options
			return build(groupCtx, BuildOptions{Root: o.Root, BinDir: s.plan.binDir(), Race: o.Race}, s.progress)
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	if err := s.fillIn(ctx); err != nil {
		return err
	}
	for stage := 1; stage <= lastStage; stage++ {
		if err := s.startStage(ctx, stage); err != nil {
			return err
		}
	}
	customer := s.progress.step("demo customer")
	if err := customer.finish(s.registerCustomer(ctx), "%s", s.Accounts()[1].Email); err != nil {
		return err
	}
	s.mu.Lock()
	s.complete = true
	s.mu.Unlock()
	return s.publish()
}

func (s *Stack) makeKeys() error {
	step := s.progress.step("keys and certificates")
	err := devca.Create(s.plan.data.at("keys"), Services())
	if err == nil {
		s.plan.testpayKey, err = readLine(s.plan.data.at("keys", devca.TestpayKeyFile))
	}
	if err == nil {
		s.plan.testpayWebhook, err = readLine(s.plan.data.at("keys", devca.TestpayWebhookFile))
	}
	if err == nil {
		s.plan.webhookSecret, err = readLine(s.plan.data.at("keys", devca.WebhookFile))
	}
	return step.finish(err, "%s", s.plan.data.at("keys"))
}

func readLine(path string) (string, error) {
	text, err := os.ReadFile(path)
	return strings.TrimSpace(string(text)), err
}

// startStores starts PostgreSQL and Redis, side by side, and makes the databases.
func (s *Stack) startStores(ctx context.Context) error {
	programs, err := localstores.Ensure(ctx, s.progress)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		step := s.progress.step("PostgreSQL")
		var server *localstores.Server
		err := s.bringUp(ctx, &unit{name: postgresName, replica: 1, log: s.plan.logFile(postgresName, 1), launch: func(ctx context.Context) (running, error) {
			var err error
			server, err = s.launchPostgres(ctx, programs)
			return asRunning(server, err)
		}})
		if err != nil {
			return step.finish(err, "")
		}
		return step.finish(createDatabases(ctx, server.URL, s.plan.secrets), "%s on %s", server.Version, server.Addr)
	})
	group.Go(func() error {
		step := s.progress.step("Redis")
		var server *localstores.Server
		err := s.bringUp(ctx, &unit{name: redisName, replica: 1, log: s.plan.logFile(redisName, 1), launch: func(ctx context.Context) (running, error) {
			var err error
			server, err = s.launchRedis(ctx, programs)
			return asRunning(server, err)
		}})
		if err != nil {
			return step.finish(err, "")
		}
		return step.finish(nil, "%s on %s", server.Version, server.Addr)
	})
	return group.Wait()
}

// asRunning keeps a nil server from becoming a running that is not nil.
func asRunning(server *localstores.Server, err error) (running, error) {
	if err != nil {
		return nil, err
	}
	return server, nil
}

func (s *Stack) launchPostgres(ctx context.Context, programs *localstores.Programs) (*localstores.Server, error) {
	log := s.plan.logFile(postgresName, 1)
	if err := rotate(log); err != nil {
		return nil, err
	}
	return programs.StartPostgres(ctx, localstores.PostgresOptions{
		Dir: s.plan.data.at("postgres"), Port: s.plan.postgresPort, Password: s.plan.secrets.Postgres,
		LogFile: log, Throwaway: s.plan.options.Throwaway,
	})
}

func (s *Stack) launchRedis(ctx context.Context, programs *localstores.Programs) (*localstores.Server, error) {
	log := s.plan.logFile(redisName, 1)
	if err := rotate(log); err != nil {
		return nil, err
	}
	// Throwaway or not, it keeps its data: a test that kills Redis wants the carts back.
	return programs.StartRedis(ctx, localstores.RedisOptions{
		Dir: s.plan.data.at("redis"), Port: s.plan.redisPort, Password: s.plan.secrets.Redis, LogFile: log,
	})
}

// fillIn migrates the users' and the products' databases and puts in the first admin and the demo catalogue. Both commands change
// nothing when they find their work done.
func (s *Stack) fillIn(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		step := s.progress.step("first admin")
		admin := s.Accounts()[0]
		env := s.plan.commandEnv(userService, "users", map[string]string{"ADMIN_EMAIL": admin.Email, "ADMIN_PASSWORD": admin.Password})
		return step.finish(s.command(ctx, userService, "bootstrap-admin", env), "%s", admin.Email)
	})
	if !s.plan.options.NoDemo {
		group.Go(func() error {
			step := s.progress.step("demo catalogue")
			return step.finish(s.command(ctx, productService, "seed-demo", s.plan.commandEnv(productService, "products", nil)), "in the database products")
		})
	}
	return group.Wait()
}

func (s *Stack) command(ctx context.Context, service, command string, env []string) error {
	return runToEnd(ctx, s.plan.program(service), command, env, s.plan.data.at("log", command+".log"))
}

// startStage starts the services of one stage and all their replicas side by side.
func (s *Stack) startStage(ctx context.Context, stage int) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, i := range s.plan.instances {
		if i.service.stage != stage {
			continue
		}
		group.Go(func() error {
			label, where := i.service.name, i.grpc
			if i.replica > 1 {
				label = fmt.Sprintf("%s, replica %d", label, i.replica)
			}
			if i.http != "" {
				where = i.http
			}
			step := s.progress.step(label)
			return step.finish(s.bringUp(ctx, s.newUnit(i)), "on %s", where)
		})
	}
	return group.Wait()
}

func (s *Stack) newUnit(i instance) *unit {
	return &unit{
		name: i.service.name, replica: i.replica, stage: i.service.stage, log: i.log,
		launch: func(ctx context.Context) (running, error) {
			return launch(ctx, s.plan.program(i.service.name), s.plan.env(i), i.log, i.ready())
		},
	}
}
