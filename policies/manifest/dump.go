package manifest

import (
	"io"
	"runtime"
	"strconv"
	"sync"

	"go.yaml.in/yaml/v3"
)

// ReadDumps is ReadPaths for what a whole cluster holds, as kubectl get prints it: the items of a List are read one by
// one, as many at a time as there are processors, and of most of them only an outline. A List is as large as MaxDumpSize;
// what is no List as kubectl prints it is read at once, and no larger than MaxFileSize.
func ReadDumps(args []string, stdin io.Reader, outline Outline) []File {
	sources, problems := paths(args, stdin, MaxDumpSize)
	files := make([]File, 0, len(sources)+len(problems))
	for _, p := range problems {
		files = append(files, File{Name: p.File, Problems: []Problem{p}})
	}
	for _, s := range sources {
		files = append(files, readDump(s, outline))
	}
	return files
}

func readDump(source Source, outline Outline) File {
	file := File{Name: source.Name}
	text, lastLine, problems := textOf(source.Name, source.Data)
	file.Problems = problems
	for _, p := range splitYAML(text) {
		p.outline = outline
		file.add(readDocument(source.Name, p, lastLine))
	}
	sortProblems(file.Problems)
	return file
}

func (f *File) add(other File) {
	f.Objects = append(f.Objects, other.Objects...)
	f.Skipped = append(f.Skipped, other.Skipped...)
	f.Problems = append(f.Problems, other.Problems...)
}

// readDocument reads a document by its items, if it is a List. What is wrong in one of them may be wrong because it was
// read alone, an alias of something in another item for example: then the document is read at once.
func readDocument(name string, p part, lastLine int) File {
	items, isList := cutList(p)
	var file File
	if isList {
		for _, f := range readItems(name, items, lastLine) {
			file.add(f)
		}
		if len(file.Problems) == 0 || len(p.text) > MaxFileSize {
			return file
		}
	}
	if len(p.text) > MaxFileSize {
		return File{Problems: []Problem{{File: name, Line: p.line, Column: p.column,
			Message: tooLarge(MaxFileSize) + ", or give a List as kubectl get prints it"}}}
	}
	file = File{}
	docs, problems := parsePart(name, p, lastLine)
	file.Problems = problems
	for _, doc := range docs {
		collector{file: &file, doc: doc}.document()
	}
	return file
}

func readItems(name string, items []part, lastLine int) []File {
	files := make([]File, len(items))
	var all sync.WaitGroup
	workers := runtime.GOMAXPROCS(0)
	for first := range workers {
		all.Go(func() {
			for i := first; i < len(items); i += workers {
				files[i] = readItem(name, items[i], i, lastLine)
			}
		})
	}
	all.Wait()
	return files
}

func readItem(name string, p part, index, lastLine int) File {
	docs, problems := parsePart(name, p, lastLine)
	file := File{Problems: problems}
	if len(problems) > 0 {
		return file
	}
	if len(docs) != 1 || docs[0].root.Kind != yaml.MappingNode {
		file.Problems = []Problem{{File: name, Line: p.line, Column: p.column, Field: "items[" + strconv.Itoa(index) + "]",
			Message: "item is no object with apiVersion, kind and metadata"}}
		return file
	}
	collector{file: &file, doc: docs[0]}.value(candidate{
		node: docs[0].root, raw: docs[0].JSON, pointer: []string{"items", strconv.Itoa(index)},
	})
	return file
}
