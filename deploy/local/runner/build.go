package runner

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sync/errgroup"

	"shop.example/platform/localstores/child"
)

// BuildOptions says what to build.
type BuildOptions struct {
	// Root is the repository; "" means the one that the working directory is in.
	Root string
	// BinDir takes the programs.
	BinDir string
	// Race builds with the race detector.
	Race bool
	// Tags are build tags, for all programs.
	Tags []string
	// Output takes the progress; nil discards it.
	Output io.Writer
}

// Build builds the services and the test payment provider into one folder, for Options.BinDir of any number of stacks.
func Build(ctx context.Context, o BuildOptions) error {
	if o.Root == "" {
		root, err := FindRoot()
		if err != nil {
			return err
		}
		o.Root = root
	}
	if o.Output == nil {
		o.Output = io.Discard
	}
	return build(ctx, o, newProgress(o.Output))
}

func build(ctx context.Context, o BuildOptions, p *progress) error {
	goCommand, err := exec.LookPath("go")
	if err != nil {
		return fmt.Errorf("the go command is needed to build the services: %w", err)
	}
	binDir, err := filepath.Abs(o.BinDir)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(binDir, 0o755); err != nil {
		return err
	}
	all := p.step(fmt.Sprintf("build %d programs", len(services)))
	group, ctx := errgroup.WithContext(ctx)
	// Each go build uses all processors while it compiles and one while it links: two at a time keep them busy, more only fill the memory.
	group.SetLimit(2)
	for _, s := range services {
		group.Go(func() error {
			return goBuild(ctx, o, goCommand, filepath.Join(o.Root, filepath.FromSlash(s.module)), filepath.Join(binDir, s.name))
		})
	}
	return all.finish(group.Wait(), "%s", binDir)
}

// goBuild builds one program. What the compiler says is shown only when it fails.
func goBuild(ctx context.Context, o BuildOptions, goCommand, module, binary string) error {
	// No version stamp: it would ask git, which may be missing or refuse another user's repository.
	args := []string{"build", "-C", module, "-buildvcs=false", "-o", binary}
	if o.Race {
		args = append(args, "-race")
	}
	if len(o.Tags) > 0 {
		args = append(args, "-tags", strings.Join(o.Tags, ","))
	}
	output, err := os.CreateTemp("", "shop-build-*.log")
	if err != nil {
		return err
	}
	defer os.Remove(output.Name())
	defer output.Close()
	compiler, err := child.Start(child.Spec{
		Path: goCommand, Args: append(args, "."), Env: append(os.Environ(), "GOWORK=off"), Output: output, OnParentDeath: syscall.SIGKILL,
	})
	if err != nil {
		return err
	}
	select {
	case <-compiler.Done():
	case <-ctx.Done():
		compiler.Kill() // with the compilers that it has started
		<-compiler.Done()
		return ctx.Err()
	}
	if err := compiler.Err(); err != nil {
		return fmt.Errorf("building %s failed: %w\n%s", filepath.Base(binary), err, logTail(output.Name(), 0, 40))
	}
	return nil
}
