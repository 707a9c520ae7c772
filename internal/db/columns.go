package db

import "reflect"

// columnsOf finds the fields of a row that are columns, embedded structs
// included, in the order of their names in columns. What is looked for in each
// row is looked for once.
func columnsOf(t reflect.Type, columns []string) [][]int {
	found := map[string][]int{}
	for _, f := range reflect.VisibleFields(t) {
		if name := f.Tag.Get("db"); name != "" {
			found[name] = f.Index
		}
	}
	out := make([][]int, len(columns))
	for i, c := range columns {
		out[i] = found[c]
	}
	return out
}

// values are what a row holds, in the order of the columns.
func (t *Table[T]) values(args []any, row *T) []any {
	v := reflect.ValueOf(row).Elem()
	for _, path := range t.fields {
		args = append(args, v.FieldByIndex(path).Interface())
	}
	return args
}

// addresses fills places with where a row's columns are read to.
func (t *Table[T]) addresses(places []any, row *T) []any {
	v := reflect.ValueOf(row).Elem()
	for i, path := range t.fields {
		places[i] = v.FieldByIndex(path).Addr().Interface()
	}
	return places
}
