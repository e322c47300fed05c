// Package localstores runs a private PostgreSQL and a private Redis on this machine, for local runs and for tests: the servers
// of the system's packages, with their data in a given folder, on the loopback address, with a password, under an unprivileged
// account, gone when their owner is gone.
//
//	stores, err := localstores.Ensure(ctx, os.Stderr)       // find the programs, or install them
//	db, err := stores.StartPostgres(ctx, localstores.PostgresOptions{...})
//	cache, err := stores.StartRedis(ctx, localstores.RedisOptions{...})
//
// Both are ready to answer when Start returns.
package localstores
