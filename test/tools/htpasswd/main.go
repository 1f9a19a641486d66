// Command htpasswd prints the bcrypt line for a registry's htpasswd file: the first line of its input is the user's
// name, the second the password.
package main

import (
	"bufio"
	"fmt"
	"log"
	"os"

	"golang.org/x/crypto/bcrypt"
)

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Scan()
	username := lines.Text()
	lines.Scan()
	// The cheapest cost: the registry checks the password of every request anew.
	hash, err := bcrypt.GenerateFromPassword(lines.Bytes(), bcrypt.MinCost)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s:%s\n", username, hash)
}
