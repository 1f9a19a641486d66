// Command go-proxy is what the benchmark compares with: httputil.ReverseProxy on one core, which adds an
// Authorization header and does nothing else. It prints its address when it listens.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"runtime"
	"sync"
	"time"
)

func main() {
	origin := flag.String("origin", "", "URL of the registry")
	authorization := flag.String("authorization", "", "value of the header that is added")
	ca := flag.String("ca", "", "PEM file of the registry's CA")
	flag.Parse()
	runtime.GOMAXPROCS(1)

	target, err := url.Parse(*origin)
	if err != nil {
		log.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(request *httputil.ProxyRequest) {
			request.SetURL(target)
			request.Out.Header.Set("Authorization", *authorization)
		},
		Transport:  transport(*ca),
		BufferPool: &bufferPool{},
		// Callers that go away are part of the benchmark.
		ErrorLog: log.New(io.Discard, "", 0),
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("http://%s\n", listener.Addr())
	log.Fatal(http.Serve(listener, proxy))
}

// transport keeps as many connections as there are callers: Go's default is two, and each further request dials.
func transport(ca string) *http.Transport {
	made := &http.Transport{
		MaxIdleConns:        512,
		MaxIdleConnsPerHost: 256,
		IdleConnTimeout:     90 * time.Second,
		DisableCompression:  true,
	}
	if ca != "" {
		pem, err := os.ReadFile(ca)
		if err != nil {
			log.Fatal(err)
		}
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(pem)
		made.TLSClientConfig = &tls.Config{RootCAs: roots}
	}
	return made
}

// bufferPool spares ReverseProxy an allocation of 32 KiB for each answer.
type bufferPool struct{ pool sync.Pool }

func (b *bufferPool) Get() []byte {
	if buffer, ok := b.pool.Get().(*[]byte); ok {
		return *buffer
	}
	return make([]byte, 32*1024)
}

func (b *bufferPool) Put(buffer []byte) { b.pool.Put(&buffer) }
