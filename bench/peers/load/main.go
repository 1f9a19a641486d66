// Command load pulls blobs for the benchmark, as fast as they come or slowly, and prints one line of JSON.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

const bufferBytes = 256 * 1024

type result struct {
	Bytes   int64   `json:"bytes"`
	Seconds float64 `json:"seconds"`
	// Answers that ended before their time.
	Broken int64 `json:"broken"`
}

func main() {
	url := flag.String("url", "", "URL of the blob")
	authorization := flag.String("authorization", "", "Authorization header, if any")
	clients := flag.Int("clients", 4, "pulls at the same time")
	rate := flag.Int64("rate", 0, "bytes a second that a client reads; 0 for all it can get")
	seconds := flag.Float64("seconds", 0, "a client stops after this time; 0 for at the end of the blob")
	flag.Parse()

	var bytes, broken atomic.Int64
	var group sync.WaitGroup
	startedAt := time.Now()
	for range *clients {
		group.Go(func() {
			read, err := pull(*url, *authorization, *rate, *seconds)
			bytes.Add(read)
			if err != nil {
				broken.Add(1)
				fmt.Fprintln(os.Stderr, err)
			}
		})
	}
	group.Wait()
	answer := result{Bytes: bytes.Load(), Seconds: time.Since(startedAt).Seconds(), Broken: broken.Load()}
	if err := json.NewEncoder(os.Stdout).Encode(answer); err != nil {
		log.Fatal(err)
	}
}

// pull reads one blob on a connection of its own, and returns how many bytes came.
func pull(url, authorization string, rate int64, seconds float64) (int64, error) {
	request, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	if authorization != "" {
		request.Header.Set("Authorization", authorization)
	}
	client := &http.Client{Transport: &http.Transport{DisableCompression: true, DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("answered with %s", response.Status)
	}
	total, err := read(response.Body, rate, seconds)
	if err == nil && seconds == 0 && total != response.ContentLength {
		err = fmt.Errorf("%d bytes of %d", total, response.ContentLength)
	}
	return total, err
}

func read(body io.Reader, rate int64, seconds float64) (int64, error) {
	buffer := make([]byte, bufferBytes)
	if rate > 0 {
		// Small pieces, so that a slow reader reads all the time.
		buffer = buffer[:32*1024]
	}
	startedAt := time.Now()
	var total int64
	for {
		count, err := body.Read(buffer)
		total += int64(count)
		if err == io.EOF {
			return total, nil
		}
		if err != nil {
			return total, err
		}
		if seconds > 0 && time.Since(startedAt).Seconds() >= seconds {
			return total, nil
		}
		if rate > 0 {
			due := time.Duration(float64(total) / float64(rate) * float64(time.Second))
			time.Sleep(due - time.Since(startedAt))
		}
	}
}
