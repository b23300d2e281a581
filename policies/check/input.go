package check

import (
	"io"

	"github.com/sluice-gate/sluice/policies/manifest"
)

// input is one file as it was read.
type input struct {
	file manifest.File
	text []byte
}

type inputs []input

// readInputs reads files in the order in which they are judged. What can't be read is a file with a problem.
func readInputs(paths []string, stdin io.Reader) inputs {
	sources, problems := manifest.Paths(paths, stdin)
	out := make(inputs, 0, len(sources)+len(problems))
	for _, p := range problems {
		out = append(out, input{file: manifest.File{Name: p.File, Problems: []manifest.Problem{p}}})
	}
	for _, s := range sources {
		out = append(out, input{manifest.Read(s.Name, s.Data), s.Data})
	}
	return out
}

// inputs are the files of a run. That there is nothing in them is a problem.
func (s *session) inputs() inputs {
	in := readInputs(s.options.Paths, s.options.Stdin)
	if in.empty() {
		s.problem(nil, manifest.Problem{Message: "nothing to judge: the input holds no document"})
	}
	return in
}

func (in inputs) objects() int {
	n := 0
	for _, i := range in {
		n += len(i.file.Objects)
	}
	return n
}

// empty tells that there is nothing in the files, not even something wrong: a pipe whose first command failed
// must not pass. A List without items is something.
func (in inputs) empty() bool {
	for _, i := range in {
		if len(i.file.Objects)+len(i.file.Skipped)+len(i.file.Problems) > 0 {
			return false
		}
		if documents, _ := manifest.Documents(i.file.Name, i.text); len(documents) > 0 {
			return false
		}
	}
	return true
}
