package main

import (
	"context"
	"errors"
	"net"
	"os"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffegrpc/grpccredentials"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/spiffetls/tlsconfig"
	"github.com/spiffe/go-spiffe/v2/workloadapi"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
)

const (
	serviceName = "demo.v1.DemoService"
	echoMethod  = "/" + serviceName + "/Echo"
	pause       = 50 * time.Millisecond
	deadline    = 5 * time.Second
)

// text is demo.v1.EchoRequest and demo.v1.EchoResponse: both hold one string, field 1.
type text struct{ value string }

// codec writes and reads text without generated code.
type codec struct{}

func (codec) Name() string { return "proto" }

func (codec) Marshal(v any) ([]byte, error) {
	return protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), v.(*text).value), nil
}

func (codec) Unmarshal(data []byte, v any) error {
	for len(data) > 0 {
		number, kind, n := protowire.ConsumeTag(data)
		if n < 0 {
			return errors.New("not a message")
		}
		data = data[n:]
		if number == 1 && kind == protowire.BytesType {
			v.(*text).value, n = protowire.ConsumeString(data)
		} else {
			n = protowire.ConsumeFieldValue(number, kind, data)
		}
		if n < 0 {
			return errors.New("not a message")
		}
		data = data[n:]
	}
	return nil
}

// serve answers Echo with who called. Only the workload caller of its own trust domain may call.
func serve(ctx context.Context, t *teller) {
	source := identity(ctx, t)
	svid, err := source.GetX509SVID()
	if err != nil {
		t.fatal("serving", err)
	}
	allowed := spiffeid.RequireFromSegments(svid.ID.TrustDomain(), "caller")
	server := grpc.NewServer(
		grpc.Creds(grpccredentials.MTLSServerCredentials(source, source, tlsconfig.AuthorizeID(allowed))),
		grpc.ForceServerCodec(codec{}),
	)
	server.RegisterService(&grpc.ServiceDesc{
		ServiceName: serviceName,
		HandlerType: (*any)(nil),
		Methods:     []grpc.MethodDesc{{MethodName: "Echo", Handler: echo}},
	}, nil)
	listener, err := net.Listen("tcp", os.Getenv("MESHPACT_ADDRESS"))
	if err != nil {
		t.fatal("serving", err)
	}
	go func() {
		<-ctx.Done()
		server.GracefulStop()
	}()
	if err := server.Serve(listener); err != nil {
		t.fatal("serving", err)
	}
}

func echo(_ any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
	request := &text{}
	if err := decode(request); err != nil {
		return nil, err
	}
	caller, _ := grpccredentials.PeerIDFromContext(ctx)
	return &text{value: request.value + " for " + caller.String()}, nil
}

// call calls Echo until it is ended: in turn on one connection that stays, and on a fresh one.
func call(ctx context.Context, t *teller, callee service) {
	source := identity(ctx, t)
	lasting, err := dial(source, callee)
	if err != nil {
		t.fatal("called", err)
	}
	// The callee may still be starting; from then on every call has to succeed at once.
	_ = lasting.Invoke(ctx, echoMethod, &text{}, &text{}, grpc.WaitForReady(true))
	for ctx.Err() == nil {
		callOnce(ctx, t, source, lasting, false)
		fresh, err := dial(source, callee)
		if err != nil {
			t.fatal("called", err)
		}
		callOnce(ctx, t, source, fresh, true)
		_ = fresh.Close()
		time.Sleep(pause)
	}
}

func dial(source *workloadapi.X509Source, callee service) (*grpc.ClientConn, error) {
	id, err := spiffeid.FromString(callee.ID)
	if err != nil {
		return nil, err
	}
	creds := grpccredentials.MTLSClientCredentials(source, source, tlsconfig.AuthorizeID(id))
	return grpc.NewClient(
		"passthrough:///"+callee.Address,
		grpc.WithTransportCredentials(creds),
		grpc.WithDefaultCallOptions(grpc.ForceCodec(codec{})),
	)
}

func callOnce(ctx context.Context, t *teller, source *workloadapi.X509Source, to *grpc.ClientConn, fresh bool) {
	bounded, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	svid, err := source.GetX509SVID()
	if err != nil {
		t.fatal("called", err)
	}
	response := &text{}
	err = to.Invoke(bounded, echoMethod, &text{value: "hello"}, response)
	if ctx.Err() != nil {
		return // it is being ended
	}
	what := report{
		Event: "called", Serial: serial(svid.Certificates[0]), Fresh: fresh, Text: response.value,
		Code: status.Code(err).String(),
	}
	if err != nil {
		what.Error = status.Convert(err).Message()
		for _, detail := range status.Convert(err).Details() {
			if info, ok := detail.(*errdetails.ErrorInfo); ok {
				what.Reason = info.Reason
			}
		}
	}
	t.tell(what)
}
