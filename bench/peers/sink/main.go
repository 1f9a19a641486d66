// Command sink is a registry for the benchmark that keeps nothing: it counts what it gives tokens to, takes whatever is
// pushed, and answers pulls with zeros. It prints its address when it listens.
package main

import (
	"crypto/tls"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

const token = "sink-token"

type registry struct {
	realm      string
	tokenDelay time.Duration
	// Bytes a second of each body; 0 for all that come.
	rate      int64
	blobBytes int64
	exchanges atomic.Int64
	uploads   atomic.Int64
}

func main() {
	tokenDelay := flag.Duration("token-delay", 0, "how long a token takes")
	rate := flag.Int64("rate", 0, "bytes a second that are taken of each body; 0 for all that come")
	blobBytes := flag.Int64("blob-bytes", 64*1024, "size of every blob")
	certificate := flag.String("certificate", "", "PEM file; the sink speaks TLS with it")
	key := flag.String("key", "", "PEM file of the certificate's key")
	flag.Parse()

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	scheme := "http"
	if *certificate != "" {
		scheme = "https"
	}
	url := fmt.Sprintf("%s://%s", scheme, listener.Addr())
	sink := &registry{realm: url + "/token", tokenDelay: *tokenDelay, rate: *rate, blobBytes: *blobBytes}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /token", sink.giveToken)
	mux.HandleFunc("GET /exchanges", func(response http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(response, sink.exchanges.Load())
	})
	mux.HandleFunc("/v2/", sink.serve)
	server := &http.Server{
		Handler:  mux,
		ErrorLog: log.New(io.Discard, "", 0),
		// Registries are spoken to in HTTP/1.1 by all that is measured.
		TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){},
	}
	fmt.Println(url)
	if *certificate == "" {
		log.Fatal(server.Serve(listener))
	}
	log.Fatal(server.ServeTLS(listener, *certificate, *key))
}

func (r *registry) giveToken(response http.ResponseWriter, _ *http.Request) {
	r.exchanges.Add(1)
	time.Sleep(r.tokenDelay)
	response.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(response, `{"token":%q,"expires_in":3600}`, token)
}

func (r *registry) serve(response http.ResponseWriter, request *http.Request) {
	if request.Header.Get("Authorization") != "Bearer "+token {
		response.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm=%q,service="sink"`, r.realm))
		response.WriteHeader(http.StatusUnauthorized)
		return
	}
	switch {
	case request.Method == http.MethodGet || request.Method == http.MethodHead:
		r.answer(response, request)
	case request.Method == http.MethodPost:
		response.Header().Set("Location", fmt.Sprintf("%s%d", request.URL.Path, r.uploads.Add(1)))
		response.WriteHeader(http.StatusAccepted)
	default:
		r.take(response, request)
	}
}

func (r *registry) answer(response http.ResponseWriter, request *http.Request) {
	if strings.HasSuffix(request.URL.Path, "/v2/") {
		return
	}
	bytes := int64(2048)
	if strings.Contains(request.URL.Path, "/blobs/") {
		bytes = r.blobBytes
	}
	response.Header().Set("Content-Type", "application/octet-stream")
	response.Header().Set("Content-Length", strconv.FormatInt(bytes, 10))
	if request.Method == http.MethodGet {
		_, _ = io.CopyN(response, zeros{}, bytes)
	}
}

func (r *registry) take(response http.ResponseWriter, request *http.Request) {
	buffer := make([]byte, 256*1024)
	if r.rate > 0 {
		buffer = buffer[:32*1024]
	}
	startedAt := time.Now()
	for total := int64(0); ; {
		count, err := request.Body.Read(buffer)
		total += int64(count)
		if err == io.EOF {
			break
		}
		if err != nil {
			return
		}
		if r.rate > 0 {
			due := time.Duration(float64(total) / float64(r.rate) * float64(time.Second))
			time.Sleep(due - time.Since(startedAt))
		}
	}
	digest := request.URL.Query().Get("digest")
	response.Header().Set("Docker-Content-Digest", digest)
	response.Header().Set("Location", strings.SplitAfter(request.URL.Path, "/blobs/")[0]+digest)
	response.WriteHeader(http.StatusCreated)
}

type zeros struct{}

func (zeros) Read(buffer []byte) (int, error) {
	clear(buffer)
	return len(buffer), nil
}
