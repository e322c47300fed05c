package client

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	userv1 "shop.example/proto/user/v1"
)

// deletedPage is how many deleted users are asked for at once: 40 kB, and the most that user-service answers.
const deletedPage = 1000

// DeletedUsers asks user-service who was deleted.
type DeletedUsers struct{ users userv1.UserServiceClient }

// NewDeletedUsers returns a client on a stub.
func NewDeletedUsers(users userv1.UserServiceClient) *DeletedUsers {
	return &DeletedUsers{users: users}
}

// DeletedUsers returns users who were deleted after a cursor.
func (d *DeletedUsers) DeletedUsers(ctx context.Context, cursor string) (users []uuid.UUID, next string, more bool, err error) {
	answer, err := d.users.ListDeletedUsers(ctx, &userv1.ListDeletedUsersRequest{Cursor: cursor, PageSize: deletedPage})
	if err != nil {
		return nil, "", false, err
	}
	users = make([]uuid.UUID, len(answer.GetUserIds()))
	for i, text := range answer.GetUserIds() {
		if users[i], err = uuid.Parse(text); err != nil {
			return nil, "", false, fmt.Errorf("deleted user %q: %w", text, err)
		}
	}
	return users, answer.GetCursor(), len(users) == deletedPage, nil
}
