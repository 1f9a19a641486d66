package main

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"
)

var errStopped = errors.New("stopped")

// pushes returns the work of clients that push a blob of so many bytes each. Digests are computed here, before the time
// counts; who stops before the end gets none.
func pushes(o options, bytes int64, clients int) func(client int) (int64, error) {
	digests := make([]string, clients)
	for client := range clients {
		digests[client] = "sha256:" + fmt.Sprintf("%064x", client)
		if o.stopAfter == 0 {
			digests[client] = digest(client, bytes)
		}
	}
	return func(client int) (int64, error) { return push(o, client, bytes, digests[client]) }
}

func digest(client int, bytes int64) string {
	hash := sha256.New()
	_, _ = io.CopyBuffer(hash, &content{left: bytes, client: client}, make([]byte, bufferBytes))
	return fmt.Sprintf("sha256:%x", hash.Sum(nil))
}

// push uploads one blob as most clients do: POST, and one PATCH or PUT of known length with all of it.
func push(o options, client int, bytes int64, digest string) (int64, error) {
	connection := o.connection()
	defer connection.CloseIdleConnections()
	location, err := begin(o, connection)
	if err != nil {
		return 0, err
	}
	query := location.Query()
	query.Set("digest", digest)
	location.RawQuery = query.Encode()
	request, err := o.request(http.MethodPut, location.String())
	if err != nil {
		return 0, err
	}
	body := &content{left: bytes, client: client, options: o, startedAt: time.Now()}
	request.Body = io.NopCloser(body)
	request.ContentLength = bytes
	request.Header.Set("Content-Type", "application/octet-stream")
	response, err := connection.Do(request)
	if err != nil {
		if errors.Is(err, errStopped) {
			err = nil
		}
		return body.read.Load(), err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusCreated {
		text, _ := io.ReadAll(io.LimitReader(response.Body, 1000))
		return body.read.Load(), fmt.Errorf("%s to %s: %s", response.Status, request.URL, text)
	}
	return body.read.Load(), nil
}

// begin starts an upload and returns where it goes on.
func begin(o options, connection *http.Client) (*url.URL, error) {
	request, err := o.request(http.MethodPost, o.urls[0])
	if err != nil {
		return nil, err
	}
	response, err := connection.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, response.Body)
	if response.StatusCode != http.StatusAccepted {
		return nil, fmt.Errorf("an upload did not begin: %s", response.Status)
	}
	return response.Location()
}

// content is a client's number in eight bytes, and zeros.
type content struct {
	left      int64
	client    int
	options   options
	startedAt time.Time
	isBegun   bool
	read      atomic.Int64
}

func (c *content) Read(buffer []byte) (int, error) {
	if c.left == 0 {
		return 0, io.EOF
	}
	if c.options.isOver(c.startedAt) {
		return 0, errStopped
	}
	c.options.wait(c.read.Load(), c.startedAt)
	buffer = buffer[:min(int64(len(buffer)), c.left)]
	clear(buffer)
	if !c.isBegun && len(buffer) >= 8 {
		binary.BigEndian.PutUint64(buffer, uint64(c.client))
		c.isBegun = true
	}
	c.left -= int64(len(buffer))
	c.read.Add(int64(len(buffer)))
	return len(buffer), nil
}
