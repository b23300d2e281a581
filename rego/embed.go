// Package rego holds the rules that Sluice ships: one folder per rule, <area>/<rule>/, and lib/ with
// what they share.
package rego

import "embed"

// Rules are the shipped rules with their tests.
//
//go:embed */*
var Rules embed.FS
