// An OpenID provider (oidc-provider) on a free port of this machine: node provider.mjs CERTIFICATE KEY AUDIENCE
// It prints a line of JSON when it is ready, and one for each line that it reads: `rotate` gives it a new signing key, `fetched` says
// how often its keys were fetched.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { createInterface } from 'node:readline';
import { exportJWK, generateKeyPair } from 'jose';
import { Provider } from 'oidc-provider';

const [certificate, key, audience] = process.argv.slice(2);
let fetched = 0;
let provider;
let keys = [];

const client = (client_id) => ({
  client_id,
  client_secret: 'known-to-the-test',
  id_token_signed_response_alg: 'ES256',
  grant_types: ['client_credentials'],
  redirect_uris: [],
  response_types: [],
});

const server = createServer({ cert: readFileSync(certificate), key: readFileSync(key) }, (request, response) => {
  if (request.url === '/jwks') fetched += 1;
  provider.callback()(request, response);
});

async function rotate() {
  const { privateKey } = await generateKeyPair('ES256', { extractable: true });
  const kid = `key-${keys.length + 1}`;
  // The newest key signs; tokens of the one before still count.
  keys = [{ ...(await exportJWK(privateKey)), kid, use: 'sig', alg: 'ES256' }, ...keys].slice(0, 2);
  provider = new Provider(`https://localhost:${server.address().port}`, {
    clients: [client('portal-of-dr-grey'), client('portal-of-nobody')],
    jwks: { keys },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      dPoP: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => audience,
        getResourceServerInfo: (_, resource) => ({
          scope: '',
          audience: resource,
          accessTokenFormat: 'jwt',
          accessTokenTTL: resource.endsWith('/brief') ? 1 : 300,
          jwt: { sign: { alg: 'ES256' } },
        }),
      },
    },
  });
  return kid;
}

server.listen(0, '127.0.0.1', async () => {
  await rotate();
  const say = (value) => console.log(JSON.stringify(value));
  say({ issuer: `https://localhost:${server.address().port}` });
  for await (const line of createInterface({ input: process.stdin })) {
    say(line === 'rotate' ? { kid: await rotate() } : { fetched });
  }
  // Whoever started it is gone.
  process.exit(0);
});
