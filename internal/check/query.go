package check

import "context"

// Query is a check that one query makes: every row it answers is a violation.
type Query struct {
	Code Code
	Kind string // of the subjects
	// SQL answers the subject's id, the evidence, and the id of another object
	// whose saga would explain it, or an empty text.
	SQL string
}

// Queries makes one check of queries on rows of one moment.
func Queries(name string, list ...Query) Check {
	c := Check{Name: name, Rows: true}
	seen := map[string]bool{}
	for _, q := range list {
		if !seen[q.Code.ID] {
			seen[q.Code.ID] = true
			c.Codes = append(c.Codes, q.Code)
		}
	}
	c.Run = func(ctx context.Context, l *Look) error {
		for _, q := range list {
			err := l.Each(ctx, q.SQL, func(scan func(...any) error) error {
				var id, evidence, with string
				if err := scan(&id, &evidence, &with); err != nil {
					return err
				}
				l.Report(q.Code, Of(q.Kind, id, with), "%s", evidence)
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	}
	return c
}
