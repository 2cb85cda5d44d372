// Reads documents of YAML from standard input, each ended by a NUL, and prints for each one line: the JSON that
// sigs.k8s.io/yaml, and with it kubectl, makes of it, or an exclamation mark and the error.
package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"

	"sigs.k8s.io/yaml"
)

func main() {
	input, err := io.ReadAll(os.Stdin)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	for _, document := range bytes.Split(bytes.TrimSuffix(input, []byte{0}), []byte{0}) {
		converted, err := yaml.YAMLToJSON(document)
		if err != nil {
			fmt.Fprintln(out, "!"+strings.ReplaceAll(err.Error(), "\n", " "))
			continue
		}
		fmt.Fprintln(out, strings.TrimSpace(string(converted)))
	}
}
