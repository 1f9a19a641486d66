//go:build tools

// Package tools pins the builder that pushes through the proxy in the tests.
package tools

import (
	_ "github.com/moby/buildkit/cmd/buildctl"
	_ "github.com/moby/buildkit/cmd/buildkitd"
)
