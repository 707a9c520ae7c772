// Package hostile sends requests that nobody should send: typed bodies with
// members that do not fit, addresses that lead nowhere or elsewhere, broken
// JSON, wrong headers, over every route. Nothing may answer 5xx, panic, tell
// what is inside, or leave something behind.
package hostile
