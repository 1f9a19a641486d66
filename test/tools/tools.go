//go:build tools

// Package tools pins the Go programs that the tests run as real parts.
package tools

import (
	_ "github.com/distribution/distribution/v3/cmd/registry"
	_ "github.com/google/go-containerregistry/cmd/crane"
)
