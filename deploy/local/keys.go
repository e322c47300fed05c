package main

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"shop.example/deploy/local/runner"
	"shop.example/platform/devca"
)

// keys makes the development keys and certificates for a run in containers, which read them from a shared volume as an account of
// their own. What is there and valid is kept.
func keys(args []string) error {
	flags := flag.NewFlagSet("keys", flag.ContinueOnError)
	out := flags.String("out", "", "folder for the files")
	uid := flags.Int("uid", -1, "user id to give the files to (needs root)")
	gid := flags.Int("gid", -1, "group id to give the files to (default: the user id)")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *out == "" || flags.NArg() > 0 {
		return errors.New("usage: keys --out DIR [--uid N] [--gid N]")
	}
	if err := devca.Create(*out, runner.Services()); err != nil {
		return err
	}
	if *gid == -1 {
		*gid = *uid
	}
	if *uid == -1 && *gid == -1 {
		return nil
	}
	err := filepath.WalkDir(*out, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, *uid, *gid)
	})
	if err != nil {
		return fmt.Errorf("give the keys to user %d: %w", *uid, err)
	}
	return nil
}
