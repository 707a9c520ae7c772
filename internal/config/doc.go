// Package config is what a cloud is told: typed, with defaults, validated once.
//
// Sources, later ones win: defaults; settings.yaml in the data directory, which
// "mek up" writes to remember its choices; mek.yaml beside it, which belongs to
// the operator; environment variables MEK_*; flags. Every process of a cloud
// loads the same files, so that "mek server --data-dir D" needs nothing else.
// Unknown keys are refused with their names: a typing error must not become a
// default.
//
// Rejected: viper (twice the size, lower-cases keys); one file for choices and
// operator's wishes (a program that rewrites a commented file loses comments).
package config
