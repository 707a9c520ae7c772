// Package members keeps with whom an image is shared: a project is offered an
// image (pending), and accepts or rejects it itself. Only the owner sees and
// changes the list, a member sees itself.
package members
