package usecase

import (
	"context"

	"shop.example/platform/pagetoken"
)

// defaultPageSize is the contract's.
const defaultPageSize = 20

// Page asks for a part of a list.
type Page struct {
	Size         int // 0 for 20
	Token        string
	IncludeTotal bool
}

// PageOf is a part of a list.
type PageOf[T any] struct {
	Items         []T
	NextPageToken string
	// Total is how many there are in all, nil unless it was asked for.
	Total *int64
}

// list is a list that is read page by page.
type list[T, Cursor any] struct {
	// query is what selects the list: a token is good in the list that it comes from.
	query any
	// read returns up to limit items from behind the cursor on, which is zero before the first.
	read  func(ctx context.Context, after Cursor, limit int) ([]T, error)
	count func(context.Context) (int64, error)
	// place is where an item stands.
	place func(T) Cursor
}

func (l list[T, Cursor]) page(ctx context.Context, p Page) (page PageOf[T], err error) {
	size := p.Size
	if size == 0 {
		size = defaultPageSize
	}
	var after Cursor
	if p.Token != "" {
		if err := pagetoken.Decode(p.Token, l.query, &after); err != nil {
			return page, err
		}
	}
	// One more than the page holds tells whether there is another one.
	if page.Items, err = l.read(ctx, after, size+1); err != nil {
		return PageOf[T]{}, err
	}
	if len(page.Items) > size {
		page.Items = page.Items[:size]
		if page.NextPageToken, err = pagetoken.Encode(l.query, l.place(page.Items[size-1])); err != nil {
			return PageOf[T]{}, err
		}
	}
	if p.IncludeTotal {
		total, err := l.count(ctx)
		if err != nil {
			return PageOf[T]{}, err
		}
		page.Total = &total
	}
	return page, nil
}
