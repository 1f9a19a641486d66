// Command invoke calls plugins as the kubelet does, which is a Go program too, and measures each invocation: from its
// start to its end, and the CPU time that it took. It reads a plan and prints samples, both in JSON.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"os/exec"
	"sync"
	"time"
)

type plan struct {
	// Programs with their arguments, which take turns.
	Commands [][]string
	Request  string
	Rounds   int
	// Invocations of each at the same moment.
	Together int
}

type sample struct {
	WallMs float64 `json:"wallMs"`
	CPUMs  float64 `json:"cpuMs"`
	// What it said instead of an answer.
	Failure string `json:"failure,omitempty"`
}

func main() {
	var wanted plan
	if err := json.NewDecoder(os.Stdin).Decode(&wanted); err != nil {
		log.Fatal(err)
	}
	samples := make([][]sample, len(wanted.Commands))
	for range wanted.Rounds {
		for at, command := range wanted.Commands {
			samples[at] = append(samples[at], invokeTogether(command, wanted.Request, wanted.Together)...)
		}
	}
	if err := json.NewEncoder(os.Stdout).Encode(samples); err != nil {
		log.Fatal(err)
	}
}

func invokeTogether(command []string, request string, number int) []sample {
	samples := make([]sample, number)
	var all sync.WaitGroup
	for at := range number {
		all.Go(func() { samples[at] = invoke(command, request) })
	}
	all.Wait()
	return samples
}

func invoke(command []string, request string) sample {
	var answer, said bytes.Buffer
	plugin := exec.Command(command[0], command[1:]...)
	plugin.Env = []string{}
	plugin.Stdin = bytes.NewBufferString(request)
	plugin.Stdout, plugin.Stderr = &answer, &said
	started := time.Now()
	err := plugin.Run()
	taken := sample{WallMs: milliseconds(time.Since(started))}
	if state := plugin.ProcessState; state != nil {
		taken.CPUMs = milliseconds(state.UserTime() + state.SystemTime())
	}
	if err != nil || !bytes.Contains(answer.Bytes(), []byte(`"auth":{"`)) {
		taken.Failure = fmt.Sprintf("%v: %v %s%s", command, err, answer.String(), said.String())
	}
	return taken
}

func milliseconds(duration time.Duration) float64 {
	return float64(duration) / float64(time.Millisecond)
}
