package main

import (
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/sluice-gate/sluice/cmd/serve"
)

func TestServeFlags(t *testing.T) {
	for args, says := range map[string]string{
		"": "",
		"--drain-time=0s --sync-timeout=0s --audit-interval=0s --max-concurrent-reviews=0": "",
		"--drain-time=-1s":            "--drain-time -1s: want 8s",
		"--sync-timeout=-1ns":         "--sync-timeout -1ns: want 30s",
		"--audit-interval=-10m":       "--audit-interval -10m0s: want 10m",
		"--evaluation-timeout=0s":     "--evaluation-timeout 0s: want more than 0",
		"--max-concurrent-reviews=-1": "--max-concurrent-reviews -1: want a number",
		"--webhook-port=0":            "--webhook-port 0: want a port",
		"--webhook-port=65535":        "",
		"--webhook-port=65536":        "--webhook-port 65536: want a port",
	} {
		t.Run(args, func(t *testing.T) {
			o := serve.Options{}
			flags := pflag.NewFlagSet("serve", pflag.ContinueOnError)
			addServeFlags(flags, &o)
			if err := flags.Parse(strings.Fields(args)); err != nil {
				t.Fatal(err)
			}
			err := checkServeFlags(o)
			if (err == nil) != (says == "") || err != nil && !strings.Contains(err.Error(), says) {
				t.Errorf("got %v, want %q", err, says)
			}
		})
	}
}
