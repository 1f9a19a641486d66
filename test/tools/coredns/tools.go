//go:build tools

// Package tools pins the DNS server of the cluster that the tests start.
package tools

import _ "github.com/coredns/coredns"
