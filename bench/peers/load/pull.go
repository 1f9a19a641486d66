package main

import (
	"fmt"
	"io"
	"net/http"
	"time"
)

// pull gets one URL after the other on one connection, and returns how many bytes came.
func pull(o options) (int64, error) {
	client := o.connection()
	defer client.CloseIdleConnections()
	var total int64
	for _, url := range o.urls {
		read, err := get(client, url, o)
		total += read
		if err != nil {
			return total, err
		}
	}
	return total, nil
}

func get(client *http.Client, url string, o options) (int64, error) {
	request, err := o.request(http.MethodGet, url)
	if err != nil {
		return 0, err
	}
	response, err := client.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("answered with %s", response.Status)
	}
	total, err := read(response.Body, o)
	if err == nil && o.stopAfter == 0 && total != response.ContentLength {
		err = fmt.Errorf("%d bytes of %d", total, response.ContentLength)
	}
	return total, err
}

func read(body io.Reader, o options) (int64, error) {
	buffer := make([]byte, o.bufferBytes)
	startedAt := time.Now()
	var total int64
	for {
		count, err := body.Read(buffer)
		total += int64(count)
		if err == io.EOF || (err == nil && o.isOver(startedAt)) {
			return total, nil
		}
		if err != nil {
			return total, err
		}
		o.wait(total, startedAt)
	}
}
