// Runs oidc-provider on the loopback address for tests: one HTTP listener (the issuer), and one HTTPS
// listener that asks for client certificates (RFC 8705). The first line on stdin is the settings, each
// further one a command; each is answered by one line of JSON on stdout. The end of stdin ends it.
import { X509Certificate, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import readline from 'node:readline';

import { createLocalJWKSet, exportJWK, generateKeyPair, jwtVerify } from 'jose';
import { Provider, errors } from 'oidc-provider';

console.log = console.info = console.warn = console.error; // stdout is for answers
const answer = (what) => process.stdout.write(`${JSON.stringify(what)}\n`);

const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';
const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';

let settings; // {clients, resources: {name: {ttl, format}}, scopes, groups: {user: [...]}, tls: {cert, key, ca}}
let keys = []; // JWKs, the one that signs first
let issuer;
let mtls;
let handle;

async function newKey() {
  const { privateKey } = await generateKeyPair('ES256', { extractable: true });
  return { ...(await exportJWK(privateKey)), kid: randomBytes(8).toString('hex'), use: 'sig', alg: 'ES256' };
}

const published = () => ({ keys: keys.map(({ d, ...rest }) => rest) });

function resource(name) {
  const found = settings.resources[name];
  if (!found) throw new errors.InvalidTarget();
  return {
    scope: settings.scopes,
    audience: name,
    accessTokenFormat: found.format,
    accessTokenTTL: found.ttl,
    jwt: { sign: { alg: 'ES256' } },
  };
}

// RFC 8693: a user's token for one with another audience, in the name of the client that asks.
async function exchange(ctx) {
  const { client, params } = ctx.oidc;
  if (params.subject_token_type !== ACCESS_TOKEN || !params.subject_token) {
    throw new errors.InvalidRequest('subject_token must be an access token');
  }
  let subject;
  try {
    const keySet = createLocalJWKSet(published());
    ({ payload: subject } = await jwtVerify(params.subject_token, keySet, { issuer, typ: 'at+jwt' }));
  } catch {
    throw new errors.InvalidGrant('subject_token does not hold');
  }
  if (subject.cnf) throw new errors.InvalidGrant('subject_token is bound');
  const info = resource(params.audience);
  const token = new ctx.oidc.provider.AccessToken({
    accountId: subject.sub,
    client,
    scope: subject.scope,
    extra: { groups: subject.groups, act: { sub: client.clientId } },
    gty: 'token_exchange',
  });
  token.resourceServer = new ctx.oidc.provider.ResourceServer(params.audience, info);
  ctx.body = {
    access_token: await token.save(),
    issued_token_type: ACCESS_TOKEN,
    token_type: 'Bearer',
    expires_in: token.expiration,
  };
}

function begin() {
  const provider = new Provider(issuer, {
    clients: settings.clients,
    clientDefaults: { id_token_signed_response_alg: 'ES256' },
    jwks: { keys },
    scopes: ['openid', 'offline_access', ...settings.scopes.split(' ')],
    cookies: { keys: [settings.cookieKey] },
    findAccount: (ctx, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
    extraTokenClaims: (ctx, token) => ({ groups: settings.groups[token.accountId] ?? [] }),
    discovery: { mtls_endpoint_aliases: { token_endpoint: `${mtls}/token` } },
    features: {
      introspection: { enabled: true },
      revocation: { enabled: true },
      mTLS: {
        enabled: true,
        certificateBoundAccessTokens: true,
        getCertificate: (ctx) => {
          const shown = ctx.req.socket.getPeerCertificate?.();
          return shown?.raw ? new X509Certificate(shown.raw) : undefined;
        },
      },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (ctx, name) => resource(name),
        useGrantedResource: () => true,
      },
    },
  });
  provider.registerGrantType(EXCHANGE, exchange, [
    'audience', 'requested_token_type', 'subject_token', 'subject_token_type',
  ]);
  provider.on('server_error', (ctx, error) => console.error(error));
  handle = provider.callback();
}

const listen = (server) => new Promise((resolve, reject) => {
  server.once('error', reject);
  server.listen(0, '127.0.0.1', () => resolve(`127.0.0.1:${server.address().port}`));
});

const commands = {
  // A new key signs; the ones before it are still published.
  async rotate() {
    keys = [await newKey(), ...keys];
    begin();
  },
  // Only the key that signs is left.
  async retire() {
    keys = keys.slice(0, 1);
    begin();
  },
};

async function start(given) {
  settings = { ...given, cookieKey: randomBytes(16).toString('hex') };
  keys = [await newKey()];
  const serve = (request, response) => handle(request, response);
  issuer = `http://${await listen(http.createServer(serve))}`;
  const { cert, key, ca } = settings.tls;
  mtls = `https://${await listen(https.createServer({
    cert: readFileSync(cert), key: readFileSync(key), ca: readFileSync(ca), requestCert: true, rejectUnauthorized: true,
  }, serve))}`;
  begin();
}

for await (const line of readline.createInterface({ input: process.stdin })) {
  const said = JSON.parse(line);
  try {
    await (settings ? commands[said.do]() : start(said));
    answer({ issuer, mtls, keys: keys.map(({ kid }) => kid) });
  } catch (error) {
    answer({ error: `${error.stack ?? error}` });
  }
}
process.exit(0);
