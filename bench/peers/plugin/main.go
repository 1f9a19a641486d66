// Command plugin is a credential provider for the kubelet that reads a request and always answers the same: what a
// program in Go costs that does nothing.
package main

import (
	"io"
	"log"
	"os"
)

const answer = `{"kind":"CredentialProviderResponse","apiVersion":"credentialprovider.kubelet.k8s.io/v1",` +
	`"cacheKeyType":"Registry","cacheDuration":"1h","auth":{"registry.example.com":{"username":"u","password":"p"}}}` + "\n"

func main() {
	if _, err := io.ReadAll(os.Stdin); err != nil {
		log.Fatal(err)
	}
	if _, err := os.Stdout.WriteString(answer); err != nil {
		log.Fatal(err)
	}
}
