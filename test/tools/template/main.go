// Command template renders Go templates with sprig's functions, as the oracle of a differential test.
// It reads one JSON object {"template": …, "data": …} per line and writes {"output": …} or {"error": …, "line": …} per
// line, in the same order.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"log"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/template"

	"github.com/Masterminds/sprig/v3"
)

type question struct {
	Template string `json:"template"`
	Data     any    `json:"data"`
}

type rendered struct {
	Output string `json:"output"`
}

type refused struct {
	Error string `json:"error"`
	// Line counts from 1; 0 where the message tells none.
	Line int `json:"line"`
}

func main() {
	if err := answer(os.Stdin, os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func answer(in io.Reader, out io.Writer) error {
	functions := sprig.TxtFuncMap()
	// What would make two renderings differ, or tells of this machine, is no part of the language.
	for name := range functions {
		if isRefused(name) {
			delete(functions, name)
		}
	}
	// Go's order of keys is any.
	functions["keys"] = keys
	functions["values"] = values
	lines := bufio.NewReader(in)
	answers := json.NewEncoder(out)
	answers.SetEscapeHTML(false)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			result, err := render(line, functions)
			if err != nil {
				return err
			}
			if err := answers.Encode(result); err != nil {
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

func render(line []byte, functions template.FuncMap) (any, error) {
	var asked question
	decoder := json.NewDecoder(bytes.NewReader(line))
	decoder.UseNumber()
	if err := decoder.Decode(&asked); err != nil {
		return nil, err
	}
	parsed, err := template.New("t").Funcs(functions).Parse(asked.Template)
	if err != nil {
		return refusal(err), nil
	}
	var output strings.Builder
	if err := parsed.Execute(&output, typed(asked.Data)); err != nil {
		return refusal(err), nil
	}
	return rendered{Output: output.String()}, nil
}

// typed makes whole numbers ints and other numbers float64s, as a reader of Kubernetes' objects does.
func typed(value any) any {
	switch value := value.(type) {
	case json.Number:
		if whole, err := strconv.Atoi(value.String()); err == nil {
			return whole
		}
		fraction, _ := value.Float64()
		return fraction
	case []any:
		for i := range value {
			value[i] = typed(value[i])
		}
	case map[string]any:
		for key := range value {
			value[key] = typed(value[key])
		}
	}
	return value
}

var place = regexp.MustCompile(`^template: t:(\d+)`)

func refusal(err error) refused {
	result := refused{Error: err.Error()}
	if found := place.FindStringSubmatch(result.Error); found != nil {
		result.Line, _ = strconv.Atoi(found[1])
	}
	return result
}

var refusedNames = regexp.MustCompile(`^(env|expandenv|getHostByName|now|ago|.*[dD]ate.*|duration.*|unixEpoch|rand.*|` +
	`shuffle|uuidv4|bcrypt|htpasswd|gen.*|derivePassword|build.*|.*AES|.*[rR]egex.*)$`)

func isRefused(name string) bool {
	return refusedNames.MatchString(name)
}

func keys(dicts ...map[string]any) []string {
	all := []string{}
	for _, each := range dicts {
		all = append(all, sorted(each)...)
	}
	return all
}

func values(of map[string]any) []any {
	all := []any{}
	for _, key := range sorted(of) {
		all = append(all, of[key])
	}
	return all
}

func sorted(of map[string]any) []string {
	return slices.Sorted(maps.Keys(of))
}
