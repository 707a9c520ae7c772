// Package swift is Swift's way of speaking: requests on their way through a
// pipeline of filters, answers and errors word for word, limits, times,
// conditions, ranges and listings. Every feature of the Swift API uses it;
// nothing else does.
//
// A Handler answers a Request. A Filter stands before a handler, as Swift's
// middleware does: it may answer itself, change the request, make requests of
// its own (Request.Sub) and render what comes back. What the caller did wrong
// comes back as a Reply with its status, so that filters see it; an error is a
// defect or a broken engine.
//
// Rejected: an HTTP request per step, as Swift makes them. Parsing headers again
// for each of them costs more than the rest of a small read.
package swift
