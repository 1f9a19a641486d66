// Command load pulls from, or pushes to, a registry for the benchmark, as fast as it goes or slowly, and prints one line
// of JSON.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	bufferBytes = 256 * 1024
	// Of a client that is slow, so that it is slow all the time, and of one of very many.
	smallBufferBytes = 32 * 1024
	manyClients      = 64
)

type options struct {
	urls          []string
	authorization string
	// Bytes a second of each client; 0 for all it can get.
	rate int64
	// A client stops after this time; 0 for at the end.
	stopAfter   time.Duration
	bufferBytes int
	roots       *x509.CertPool
}

type result struct {
	Bytes   int64   `json:"bytes"`
	Seconds float64 `json:"seconds"`
	// Clients whose requests failed, or ended before their time.
	Broken int64 `json:"broken"`
	// Of all that a client does.
	P50Ms float64 `json:"p50Ms"`
	P99Ms float64 `json:"p99Ms"`
	MaxMs float64 `json:"maxMs"`
}

func main() {
	urls := flag.String("url", "", "URLs that each client gets one after the other, separated by commas; or where uploads begin")
	authorization := flag.String("authorization", "", "Authorization header, if any")
	clients := flag.Int("clients", 4, "clients at the same time")
	rate := flag.Int64("rate", 0, "bytes a second of each client; 0 for all it can get")
	seconds := flag.Float64("seconds", 0, "a client stops after this time; 0 for at the end")
	push := flag.Int64("push", 0, "pushes a blob of so many bytes from each client, in place of pulling")
	ca := flag.String("ca", "", "PEM file of the registry's CA")
	flag.Parse()

	given := options{
		urls:          strings.Split(*urls, ","),
		authorization: *authorization,
		rate:          *rate,
		stopAfter:     time.Duration(*seconds * float64(time.Second)),
		bufferBytes:   bufferBytes,
		roots:         roots(*ca),
	}
	if *rate > 0 || *clients > manyClients {
		given.bufferBytes = smallBufferBytes
	}
	work := func(int) (int64, error) { return pull(given) }
	if *push > 0 {
		work = pushes(given, *push, *clients)
	}
	if err := json.NewEncoder(os.Stdout).Encode(run(*clients, work)); err != nil {
		log.Fatal(err)
	}
}

// run lets all clients work at the same time; work returns how many bytes went through.
func run(clients int, work func(client int) (int64, error)) result {
	var bytes, broken atomic.Int64
	var group sync.WaitGroup
	times := make([]time.Duration, clients)
	startedAt := time.Now()
	for client := range clients {
		group.Go(func() {
			begunAt := time.Now()
			moved, err := work(client)
			times[client] = time.Since(begunAt)
			bytes.Add(moved)
			if err != nil && broken.Add(1) <= 3 {
				fmt.Fprintln(os.Stderr, err)
			}
		})
	}
	group.Wait()
	seconds := time.Since(startedAt).Seconds()
	slices.Sort(times)
	quantile := func(share float64) float64 { return times[int(share*float64(clients-1))].Seconds() * 1000 }
	return result{bytes.Load(), seconds, broken.Load(), quantile(0.5), quantile(0.99), quantile(1)}
}

// connection is a client with a connection of its own.
func (o options) connection() *http.Client {
	return &http.Client{Transport: &http.Transport{
		DisableCompression: true,
		WriteBufferSize:    o.bufferBytes,
		TLSClientConfig:    &tls.Config{RootCAs: o.roots},
	}}
}

func (o options) request(method, url string) (*http.Request, error) {
	request, err := http.NewRequest(method, url, nil)
	if err == nil && o.authorization != "" {
		request.Header.Set("Authorization", o.authorization)
	}
	return request, err
}

// wait slows a client down to its rate.
func (o options) wait(moved int64, startedAt time.Time) {
	if o.rate > 0 {
		due := time.Duration(float64(moved) / float64(o.rate) * float64(time.Second))
		time.Sleep(due - time.Since(startedAt))
	}
}

func (o options) isOver(startedAt time.Time) bool {
	return o.stopAfter > 0 && time.Since(startedAt) >= o.stopAfter
}

func roots(file string) *x509.CertPool {
	if file == "" {
		return nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		log.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	return pool
}
