package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// rollbackTimeout bounds a rollback, which the cancelled context of its request cannot do. What takes longer is a broken
// connection: it is closed, and the server rolls back by itself.
const rollbackTimeout = 2 * time.Second

// Beginner begins transactions: a pool, a connection, or a transaction (which begins a savepoint).
type Beginner interface {
	Begin(ctx context.Context) (pgx.Tx, error)
}

// InTx runs fn in a transaction and commits it when fn returns without an error; else, also when fn panics, it rolls back.
// The errors of fn are returned as they are. After an error of the commit it is unknown whether the transaction took place
// when the connection broke: callers must be able to do it again.
//
// fn must not use anything but tx, must not call other services, and must not keep tx.
func InTx[T any](ctx context.Context, db Beginner, fn func(tx pgx.Tx) (T, error)) (result T, err error) {
	var none T
	tx, err := db.Begin(ctx)
	if err != nil {
		return none, fmt.Errorf("begin transaction: %w", err)
	}
	committed := false
	defer func() {
		if committed {
			return
		}
		// Here after an error, a panic or a Goexit (a test that fails inside fn). Without cancel: a request that was given up
		// must not leave its locks behind, and its connection can be used again.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rollbackTimeout)
		defer cancel()
		if rollbackErr := tx.Rollback(ctx); rollbackErr != nil && !errors.Is(rollbackErr, pgx.ErrTxClosed) && err != nil {
			err = errors.Join(err, fmt.Errorf("roll back transaction: %w", rollbackErr))
		}
	}()
	result, err = fn(tx)
	if err != nil {
		return none, err
	}
	if err = tx.Commit(ctx); err != nil {
		return none, fmt.Errorf("commit transaction: %w", err)
	}
	committed = true
	return result, nil
}

// InTxDo is InTx for work without a result.
func InTxDo(ctx context.Context, db Beginner, fn func(tx pgx.Tx) error) error {
	_, err := InTx(ctx, db, func(tx pgx.Tx) (struct{}, error) { return struct{}{}, fn(tx) })
	return err
}
