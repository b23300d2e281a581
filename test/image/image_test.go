// Package image builds the Dockerfile, without a registry, and starts what comes out.
package image

import (
	"bytes"
	"crypto/sha256"
	"debug/elf"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
)

const (
	version = "v0.0.0-image"
	commit  = "0123456789abcdef0123456789abcdef01234567"
	epoch   = "1700000000"
)

// The builder is this machine's own /usr and Go, mounted into an empty image; the base is scratch.
func TestImage(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds an image")
	}
	b := newBuilder(t)
	g := NewWithT(t)
	id := b.build("sluice")
	g.Expect(b.build("again")).To(Equal(id), "the same files make the same image")

	config := b.inspect("sluice").Config
	g.Expect(config.User).To(Equal("65532:65532"))
	g.Expect(config.Entrypoint).To(Equal([]string{"/sluice"}))
	g.Expect(config.Labels).To(HaveKeyWithValue("org.opencontainers.image.version", version))
	g.Expect(config.Labels).To(HaveKeyWithValue("org.opencontainers.image.revision", commit))
	g.Expect(config.Labels).To(HaveKeyWithValue("org.opencontainers.image.licenses", "Apache-2.0"))

	container, files := b.files("sluice")
	g.Expect(files).To(HaveLen(1), "nothing else is in it")
	program := b.open(files[0])
	g.Expect(slices.ContainsFunc(program.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP })).To(BeFalse(), "it is static")
	g.Expect(checksum(t, files[0])).To(Equal(checksum(t, b.program(runtime.GOARCH))), "the same program comes out of another folder")

	out := string(b.must("run", "--isolation", "chroot", container, "--", "/sluice", "version"))
	g.Expect(out).To(ContainSubstring(version))
	g.Expect(out).To(ContainSubstring(commit[:7]))
	g.Expect(string(b.must("run", "--isolation", "chroot", container, "--", "/sluice", "serve", "--help"))).To(ContainSubstring("--cert-dir"))
}

// The base may be any image.
func TestBase(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds an image")
	}
	b := newBuilder(t)
	g := NewWithT(t)
	b.base()
	b.build("sluice", "--build-arg", "BASE=localhost/base")
	config := b.inspect("sluice").Config
	g.Expect(config.User).To(Equal("65532:65532"))
	g.Expect(config.Entrypoint).To(Equal([]string{"/sluice"}))
	container, files := b.files("sluice")
	g.Expect(files).To(HaveExactElements(HaveSuffix("/base"), HaveSuffix("/sluice")))
	g.Expect(string(b.must("run", "--isolation", "chroot", container, "--", "/sluice", "version"))).To(ContainSubstring(version))
}

// An image for another processor needs no emulation: Go builds for it here. The first time, it builds everything.
func TestOtherProcessor(t *testing.T) {
	arch := os.Getenv("SLUICE_ARCH")
	machine, known := map[string]elf.Machine{"arm64": elf.EM_AARCH64, "amd64": elf.EM_X86_64}[arch]
	if !known {
		t.Skip("SLUICE_ARCH is neither amd64 nor arm64: say make image ARCH=arm64")
	}
	b := newBuilder(t)
	g := NewWithT(t)
	b.build("sluice", "--platform", "linux/"+arch, "--build-arg", "BUILDPLATFORM=linux/"+runtime.GOARCH)
	image := b.inspect("sluice")
	g.Expect(image.Architecture).To(Equal(arch))
	g.Expect(image.OS).To(Equal("linux"))
	_, files := b.files("sluice")
	g.Expect(b.open(files[0]).Machine).To(Equal(machine))
	g.Expect(checksum(t, files[0])).To(Equal(checksum(t, b.program(arch))), "the same program comes out without an image")
}

// builder is buildah with a store of its own.
type builder struct {
	t      *testing.T
	dir    string
	source string
}

// newBuilder skips the test where there is no buildah, or where it may not make an image.
func newBuilder(t *testing.T) *builder {
	t.Helper()
	if _, err := exec.LookPath("buildah"); err != nil {
		t.Skip("buildah is not installed (Debian's package has that name)")
	}
	for _, link := range []string{"/bin", "/lib", "/lib64"} {
		if target, err := os.Readlink(link); err != nil || !strings.HasPrefix(strings.TrimPrefix(target, "/"), "usr/") {
			t.Skipf("%s does not lie in /usr, which is all that the build gets of this machine", link)
		}
	}
	source, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	b := &builder{t: t, dir: t.TempDir(), source: source}
	if out, err := b.goCommand("mod", "download").CombinedOutput(); err != nil {
		t.Skipf("the modules can't be had: %s", out)
	}
	// Containers that are mounted keep the store busy.
	t.Cleanup(func() { _, _ = b.run("rm", "--all"); _, _ = b.run("rmi", "--all", "--force") })
	empty := filepath.Join(b.dir, "empty")
	file := "FROM scratch\nCOPY . /\nENV PATH=/goroot/bin:/usr/bin GOROOT=/goroot GOMODCACHE=/modules GOCACHE=/cache GOPROXY=off GOTOOLCHAIN=local HOME=/tmp\n"
	if err := os.MkdirAll(filepath.Join(empty, "tmp"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, link := range []string{"bin", "lib", "lib64"} {
		if err := os.Symlink("usr/"+link, filepath.Join(empty, link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(b.dir, "Builder"), []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := b.run("bud", "--isolation", "chroot", "-f", filepath.Join(b.dir, "Builder"), "-t", "builder", empty); err != nil {
		t.Skipf("buildah may not build here: %v: %s", err, out)
	}
	return b
}

// base makes an image with a file named base.
func (b *builder) base() {
	b.t.Helper()
	dir := b.t.TempDir()
	file := filepath.Join(dir, "base")
	if err := os.WriteFile(file, []byte("FROM scratch\nCOPY base /base\n"), 0o600); err != nil {
		b.t.Fatal(err)
	}
	b.must("bud", "--isolation", "chroot", "-f", file, "-t", "base", dir)
}

// image is what an image says of itself.
type image struct {
	OS           string `json:"os"`
	Architecture string `json:"architecture"`
	Config       struct {
		User       string
		Entrypoint []string
		Labels     map[string]string
	} `json:"config"`
}

func (b *builder) inspect(tag string) image {
	b.t.Helper()
	var inspected struct{ OCIv1 image }
	if err := json.Unmarshal(b.must("inspect", "--type", "image", tag), &inspected); err != nil {
		b.t.Fatal(err)
	}
	return inspected.OCIv1
}

// files are those in the root of a container of an image.
func (b *builder) files(tag string) (container string, paths []string) {
	b.t.Helper()
	container = strings.TrimSpace(string(b.must("from", "--pull-never", tag)))
	paths, err := filepath.Glob(strings.TrimSpace(string(b.must("mount", container))) + "/*")
	if err != nil {
		b.t.Fatal(err)
	}
	return container, paths
}

func (b *builder) open(path string) *elf.File {
	b.t.Helper()
	program, err := elf.Open(path)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = program.Close() })
	return program
}

// build returns the image's id. Of an argument that is given twice, the second one counts.
func (b *builder) build(tag string, args ...string) string {
	b.t.Helper()
	var ids bytes.Buffer
	ids.Write(b.must(slices.Concat([]string{"bud", "--isolation", "chroot", "--quiet", "--pull-never", "--no-cache", "--timestamp", epoch,
		"--volume", "/usr:/usr:ro", "--volume", b.goEnv("GOROOT") + ":/goroot:ro", "--volume", b.goEnv("GOMODCACHE") + ":/modules:ro",
		"--volume", b.goEnv("GOCACHE") + ":/cache",
		"--build-arg", "BUILDER=localhost/builder", "--build-arg", "BASE=scratch",
		"--build-arg", "VERSION=" + version, "--build-arg", "COMMIT=" + commit, "--build-arg", "SOURCE_DATE_EPOCH=" + epoch, "-t", tag},
		args, []string{b.source})...))
	return strings.TrimSpace(ids.String())
}

// program is what the Dockerfile's command makes here.
func (b *builder) program(arch string) string {
	b.t.Helper()
	path := filepath.Join(b.dir, "sluice")
	command := b.goCommand("build", "-trimpath", "-buildvcs=false",
		"-ldflags", "-s -w -X main.linkedVersion="+version+" -X main.linkedCommit="+commit, "-o", path, "./cmd/sluice")
	command.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOARCH="+arch)
	if out, err := command.CombinedOutput(); err != nil {
		b.t.Fatalf("go build: %v: %s", err, out)
	}
	return path
}

func (b *builder) must(args ...string) []byte {
	b.t.Helper()
	out, err := b.run(args...)
	if err != nil {
		b.t.Fatalf("buildah %s: %v", args[0], err)
	}
	return out
}

// run uses chroot and vfs, which need neither a network nor an overlay in the kernel.
func (b *builder) run(args ...string) ([]byte, error) {
	var stderr bytes.Buffer
	command := exec.CommandContext(b.t.Context(), "buildah", append([]string{"--storage-driver", "vfs",
		"--root", filepath.Join(b.dir, "root"), "--runroot", filepath.Join(b.dir, "run")}, args...)...)
	if args[0] == "rm" || args[0] == "rmi" { // the test's context has ended by then
		command = exec.Command(command.Args[0], command.Args[1:]...)
	}
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		b.t.Logf("buildah %s: %v: %s", args[0], err, stderr.Bytes())
	}
	return out, err
}

func (b *builder) goCommand(args ...string) *exec.Cmd {
	command := exec.CommandContext(b.t.Context(), "go", args...)
	command.Dir = b.source
	return command
}

func (b *builder) goEnv(name string) string {
	b.t.Helper()
	out, err := b.goCommand("env", name).Output()
	if err != nil {
		b.t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

func checksum(t *testing.T, path string) [sha256.Size]byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return sha256.Sum256(content)
}
