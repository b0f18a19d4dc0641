// Peer is a workload in Go with go-spiffe, as `meshpact up` starts it: a gRPC server, or a client
// that calls without end. It tells what happens to the test that listens on a Unix socket.
package main

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/spiffe/go-spiffe/v2/workloadapi"
)

// report is one line to the test; what does not apply is left out.
type report struct {
	Who    string `json:"who"`
	Event  string `json:"event"`
	ID     string `json:"id,omitempty"`
	Serial string `json:"serial,omitempty"`
	Roots  int    `json:"roots,omitempty"`
	Fresh  bool   `json:"fresh,omitempty"`
	Text   string `json:"text,omitempty"`
	Code   string `json:"code,omitempty"`
	Reason string `json:"reason,omitempty"`
	Error  string `json:"error,omitempty"`
}

// teller sends reports, one JSON object a line.
type teller struct {
	who  string
	lock sync.Mutex
	to   *json.Encoder
}

func (t *teller) tell(what report) {
	what.Who = t.who
	t.lock.Lock()
	defer t.lock.Unlock()
	if err := t.to.Encode(what); err != nil {
		os.Exit(0) // the test is over
	}
}

func (t *teller) fatal(event string, err error) {
	t.tell(report{Event: event, Error: err.Error()})
	os.Exit(1)
}

// service is another workload of the mesh, as MESHPACT_SERVICES has it.
type service struct {
	ID      string `json:"id"`
	Address string `json:"address"`
}

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: peer serve|call|jwt|fetch SOCKET [SERVICE]")
		os.Exit(2)
	}
	connection, err := net.Dial("unix", os.Args[2])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	t := &teller{who: os.Getenv("MESHPACT_SERVICE"), to: json.NewEncoder(connection)}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	switch os.Args[1] {
	case "serve":
		serve(ctx, t)
	case "call":
		call(ctx, t, target(os.Args[3]))
	case "jwt":
		proveByToken(ctx, t, os.Args[3])
	case "fetch":
		fetch(ctx, t)
	}
}

func target(name string) service {
	services := map[string]service{}
	if err := json.Unmarshal([]byte(os.Getenv("MESHPACT_SERVICES")), &services); err != nil {
		panic(err)
	}
	return services[name]
}

// fetch asks once who this process is.
func fetch(ctx context.Context, t *teller) {
	svid, err := workloadapi.FetchX509SVID(ctx)
	if err != nil {
		t.tell(report{Event: "fetched", Error: err.Error()})
		return
	}
	t.tell(report{Event: "fetched", ID: svid.ID.String()})
}

// identity opens the source of this process's identity, and tells of each new one.
func identity(ctx context.Context, t *teller) *workloadapi.X509Source {
	source, err := workloadapi.NewX509Source(ctx)
	if err != nil {
		t.fatal("identity", err)
	}
	tellIdentity(t, source)
	go func() {
		for source.WaitUntilUpdated(ctx) == nil {
			tellIdentity(t, source)
		}
	}()
	return source
}

func tellIdentity(t *teller, source *workloadapi.X509Source) {
	svid, err := source.GetX509SVID()
	if err != nil {
		t.fatal("identity", err)
	}
	bundle, err := source.GetX509BundleForTrustDomain(svid.ID.TrustDomain())
	if err != nil {
		t.fatal("identity", err)
	}
	t.tell(report{
		Event:  "identity",
		ID:     svid.ID.String(),
		Serial: serial(svid.Certificates[0]),
		Roots:  len(bundle.X509Authorities()),
	})
}

func serial(leaf *x509.Certificate) string {
	return leaf.SerialNumber.Text(16)
}
