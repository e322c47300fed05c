// Package runner runs the whole shop on one machine without containers: PostgreSQL, Redis, the test payment provider and the five
// services, built from the source, each as a process of its own, with mutual TLS between them. `make run` is this package with a
// command line; the end-to-end tests use it directly.
//
//	stack, err := runner.Start(ctx, runner.Options{Data: dir, Output: os.Stderr})
//	defer stack.Stop(ctx)
//	http.Get(stack.Gateway() + "/api/v1/products")
//
// Start either returns a stack in which every process is ready, or an error that says what was wrong, with nothing left running.
package runner
