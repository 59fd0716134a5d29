package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"strings"

	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	kubectl "k8s.io/kubectl/pkg/cmd"
	kubectlutil "k8s.io/kubectl/pkg/cmd/util"
)

// A command line of kubectl, and what it is to read. `-` as a file name must not be among the
// arguments: kubectl would read the server's own input.
type kubectlRequest struct {
	Args []string `json:"args"`
}

// What kubectl would have printed, and its exit code.
type kubectlAnswer struct {
	Code   int    `json:"code"`
	Stdout string `json:"stdout"`
	Stderr string `json:"stderr"`
}

// Where kubectl would have ended its process.
type kubectlExit struct {
	message string
	code    int
}

// serveKubectl runs kubectl's commands for whoever connects to the socket, in this process: each start
// of a kubectl costs a tenth of a second of processor time, and tests ask several times a second. One
// connection is one command: a line of JSON in, one out. The configuration is that of the environment.
func serveKubectl(socket string) error {
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	kubectlutil.BehaviorOnFatal(func(message string, code int) {
		panic(kubectlExit{message, code})
	})
	for {
		connection, err := listener.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer connection.Close()
			var request kubectlRequest
			if json.NewDecoder(connection).Decode(&request) != nil {
				return
			}
			// Who has gone does not want to know.
			_ = json.NewEncoder(connection).Encode(runKubectl(request.Args))
		}()
	}
}

func runKubectl(args []string) (answer kubectlAnswer) {
	var stdout, stderr bytes.Buffer
	defer func() {
		if reason := recover(); reason != nil {
			exit, isExit := reason.(kubectlExit)
			if !isExit {
				exit = kubectlExit{fmt.Sprintf("kubectl panicked: %v", reason), 2}
			}
			answer.Code = exit.code
			// As kubectl itself does it.
			if exit.message != "" && !strings.HasSuffix(exit.message, "\n") {
				exit.message += "\n"
			}
			stderr.WriteString(exit.message)
		}
		answer.Stdout, answer.Stderr = stdout.String(), stderr.String()
	}()
	streams := genericiooptions.IOStreams{In: io.MultiReader(), Out: &stdout, ErrOut: &stderr}
	command := kubectl.NewKubectlCommand(kubectl.KubectlOptions{
		ConfigFlags: genericclioptions.NewConfigFlags(true).WithDeprecatedPasswordFlag().WithDiscoveryBurst(300).WithDiscoveryQPS(50),
		IOStreams:   streams,
		Arguments:   append([]string{os.Args[0]}, args...),
	})
	command.SetArgs(args)
	command.SetOut(&stdout)
	command.SetErr(&stderr)
	command.SilenceErrors = true
	if err := command.Execute(); err != nil {
		kubectlutil.CheckErr(err)
	}
	return answer
}
