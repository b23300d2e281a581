// Command schemagen writes the JSON Schemas that rules are type-checked against.
//
// Their source is api/openapi-spec/swagger.json of the k8s.io/kubernetes release that go.mod
// requires; updating Kubernetes is updating go.mod and running `go generate` in
// policies/engine/schema. The output is a function of that release alone.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
)

// errStale is returned by -check when a file differs from what would be written.
var errStale = errors.New("schemas are stale: run `go generate` in policies/engine/schema")

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "schemagen:", err)
		os.Exit(1)
	}
}

// run writes the schemas into -out, or with -check prints the stale ones and returns errStale.
func run(args []string, out io.Writer) error {
	flags := flag.NewFlagSet("schemagen", flag.ContinueOnError)
	dir := flags.String("out", "../../policies/engine/schema", "folder of definitions.json and kinds/")
	check := flags.Bool("check", false, "write nothing; fail when a file differs")
	if err := flags.Parse(args); err != nil {
		return err
	}

	files, err := generate()
	if err != nil {
		return err
	}
	if !*check {
		return files.write(*dir)
	}
	stale, err := files.stale(*dir)
	if err != nil {
		return err
	}
	for _, name := range stale {
		fmt.Fprintln(out, "stale:", name)
	}
	if len(stale) > 0 {
		return errStale
	}
	return nil
}

// generate reads the specification and returns every file to write.
func generate() (fileSet, error) {
	path, err := specPath()
	if err != nil {
		return nil, err
	}
	spec, err := readSpec(path)
	if err != nil {
		return nil, err
	}
	return build(spec, kinds)
}
