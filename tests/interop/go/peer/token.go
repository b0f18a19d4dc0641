package main

import (
	"context"

	"github.com/spiffe/go-spiffe/v2/svid/jwtsvid"
	"github.com/spiffe/go-spiffe/v2/workloadapi"
)

// proveByToken fetches a JWT-SVID for an audience, and has it validated in every way there is.
func proveByToken(ctx context.Context, t *teller, audience string) {
	source, err := workloadapi.NewJWTSource(ctx)
	if err != nil {
		t.fatal("token", err)
	}
	fetched, err := source.FetchJWTSVID(ctx, jwtsvid.Params{Audience: audience})
	if err != nil {
		t.fatal("token", err)
	}
	token := fetched.Marshal()
	for _, wanted := range []string{audience, "another"} {
		here, err := jwtsvid.ParseAndValidate(token, source, []string{wanted})
		tellToken(t, "validated here", wanted, here, err)
		there, err := workloadapi.ValidateJWTSVID(ctx, token, wanted)
		tellToken(t, "validated there", wanted, there, err)
	}
	t.tell(report{Event: "token", Text: token})
}

func tellToken(t *teller, event, audience string, svid *jwtsvid.SVID, err error) {
	what := report{Event: event, Text: audience}
	if err != nil {
		what.Error = err.Error()
	} else {
		what.ID = svid.ID.String()
	}
	t.tell(what)
}
