// Package reread decodes JSON that this program has written itself, as
// encoding/json does, in a third of the time: rows keep most of what they hold
// as JSON, and lists read them by the thousand.
//
// It knows what json.Marshal writes of structs, maps, lists and plain values.
// Whatever else it meets it leaves to encoding/json: a value of another kind of
// type, or, where the text is not what was expected, all of it.
//
// encoding/json/v2 would do the same; it is still an experiment.
package reread
