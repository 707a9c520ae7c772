// Package wire is what Placement's API speaks: query strings, headers, error
// bodies and the versions at which they change. It knows neither routes nor rows.
//
// Texts are OpenStack's where clients or its tests match them.
package wire
