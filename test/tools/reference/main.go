// Command reference parses image references with the field's own parser, as the oracle of a differential test.
// It reads one JSON string per line and writes one JSON object per line, in the same order.
package main

import (
	"bufio"
	// A digest algorithm is only known once its hash is linked in.
	_ "crypto/sha256"
	_ "crypto/sha512"
	"encoding/json"
	"io"
	"log"
	"os"

	"github.com/distribution/reference"
)

// parsed is what ParseNormalizedNamed says of a reference. Tag and digest are empty where the reference has none.
type parsed struct {
	OK     bool   `json:"ok"`
	Domain string `json:"domain"`
	Path   string `json:"path"`
	Tag    string `json:"tag"`
	Digest string `json:"digest"`
	// Familiar is the short form of Normalized, as `nginx` for docker.io/library/nginx.
	Normalized string `json:"normalized"`
	Familiar   string `json:"familiar"`
	// DockerRef is what ParseDockerRef makes of it: a default tag is added, and a tag beside a digest is dropped.
	DockerRef string `json:"dockerRef"`
}

type refused struct {
	OK    bool   `json:"ok"`
	Error string `json:"error"`
}

func main() {
	if err := answer(os.Stdin, os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func answer(in io.Reader, out io.Writer) error {
	// A flushed line for each line, so that a test may also ask one by one.
	lines := bufio.NewReader(in)
	answers := json.NewEncoder(out)
	answers.SetEscapeHTML(false)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			var text string
			if err := json.Unmarshal(line, &text); err != nil {
				return err
			}
			if err := answers.Encode(parse(text)); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func parse(text string) any {
	named, err := reference.ParseNormalizedNamed(text)
	if err != nil {
		return refused{Error: err.Error()}
	}
	dockerRef, err := reference.ParseDockerRef(text)
	if err != nil {
		return refused{Error: err.Error()}
	}
	result := parsed{
		OK:         true,
		Domain:     reference.Domain(named),
		Path:       reference.Path(named),
		Normalized: named.String(),
		Familiar:   reference.FamiliarString(named),
		DockerRef:  dockerRef.String(),
	}
	if tagged, ok := named.(reference.Tagged); ok {
		result.Tag = tagged.Tag()
	}
	if digested, ok := named.(reference.Digested); ok {
		result.Digest = digested.Digest().String()
	}
	return result
}
