//go:build tools

// Package tools pins the client that builds images of Go programs.
package tools

import _ "github.com/google/ko"
