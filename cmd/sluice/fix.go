package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/sluice-gate/sluice/policies/check"
	"github.com/sluice-gate/sluice/policies/manifest"
	"github.com/sluice-gate/sluice/policies/report"
)

type fixFlags struct {
	policyFlags
	objectFlags
	write, diff bool
}

func newFixCommand() *cobra.Command {
	var f fixFlags
	command := &cobra.Command{
		Use:   "fix FILE|DIR|-...",
		Short: "Write the patches of the policies into manifests",
		Long: `Fix applies the patches of the policies to the text of manifests and prints the result. Comments, the
order of keys and whatever needs no patch stay as they are. What a rule refuses without having a
patch for it is left to you: sluice check names it.` + policyHelp,
		Example: `  sluice fix --diff deploy/
  sluice fix --write deploy/
  kustomize build . | sluice fix - | kubectl apply -f -`,
		Args: someInput,
		RunE: func(command *cobra.Command, args []string) error { return f.run(command, args) },
	}
	f.policyFlags.add(command, "baseline")
	f.objectFlags.add(command)
	command.Flags().BoolVarP(&f.write, "write", "w", false, "write the files instead of printing them")
	command.Flags().BoolVarP(&f.diff, "diff", "d", false, "print what would change")
	command.MarkFlagsMutuallyExclusive("write", "diff")
	return command
}

func (f *fixFlags) run(command *cobra.Command, args []string) error {
	if f.write && slices.Contains(args, "-") {
		return errors.New("--write can't write to standard input; leave it out to print the result")
	}
	set, err := f.load()
	if err != nil {
		return unjudged(err)
	}
	fixed, r, err := check.Fix(command.Context(), check.Options{
		Policies: set, Paths: args, Stdin: command.InOrStdin(), State: f.state, Namespace: f.namespace,
	})
	if err != nil {
		return unjudged(err)
	}
	switch stdout := command.OutOrStdout(); {
	case f.write:
		err = writeFixed(fixed)
	case f.diff:
		err = printDiffs(stdout, fixed)
	default:
		err = printFixed(stdout, fixed)
	}
	if err != nil {
		return unjudged(err)
	}
	if !f.write {
		r.Patched = nil // it can be seen in what was printed
	}
	if len(r.Results)+len(r.Patched) > 0 {
		stderr := command.ErrOrStderr()
		if err := report.Write(stderr, report.FormatText, r, report.TextOptions{Color: wantsColor(stderr)}); err != nil {
			return unjudged(err)
		}
	}
	if r.Summary.Errors > 0 {
		return exit(check.ExitUnjudged)
	}
	return nil
}

// printFixed prints all files as one stream.
func printFixed(w io.Writer, fixed []check.Fixed) error {
	var out bytes.Buffer
	for i, f := range fixed {
		if i > 0 && !bytes.HasPrefix(f.After, []byte("---")) {
			out.WriteString("---\n")
		}
		out.Write(f.After)
		if i < len(fixed)-1 && !bytes.HasSuffix(f.After, []byte("\n")) {
			out.WriteString("\n")
		}
	}
	_, err := w.Write(out.Bytes())
	return err
}

func printDiffs(w io.Writer, fixed []check.Fixed) error {
	for _, f := range fixed {
		text, err := manifest.Diff(f.Name, f.Before, f.After)
		if err != nil {
			return err
		}
		if _, err := io.WriteString(w, text); err != nil {
			return err
		}
	}
	return nil
}

// writeFixed writes the files that changed.
func writeFixed(fixed []check.Fixed) error {
	for _, f := range fixed {
		if bytes.Equal(f.Before, f.After) {
			continue
		}
		if err := replaceFile(f.Name, f.After); err != nil {
			return fmt.Errorf("write %s: %w", f.Name, err)
		}
	}
	return nil
}

// replaceFile replaces what is in a file at once: whoever is interrupted keeps the old text. It leaves alone what is no
// file, such as a pipe or a device.
func replaceFile(name string, text []byte) (err error) {
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return errors.New("it is no regular file")
	}
	name, err = filepath.EvalSymlinks(name)
	if err != nil {
		return err
	}
	temporary, err := os.CreateTemp(filepath.Dir(name), ".sluice-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(temporary.Name()))
		}
	}()
	_, err = temporary.Write(text)
	if err = errors.Join(err, temporary.Chmod(info.Mode().Perm()), temporary.Close()); err != nil {
		return err
	}
	return os.Rename(temporary.Name(), name)
}
