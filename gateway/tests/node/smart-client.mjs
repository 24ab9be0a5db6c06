// A clinic system: node smart-client.mjs GATEWAY CLIENT-ID ALGORITHM KEY-ID KEY-FILE SCOPE PATH …
// Finds the token endpoint as SMART says, gets a token with openid-client, calls each path (POST:/… posts) and prints what was answered.
import { readFileSync } from 'node:fs';
import { importPKCS8 } from 'jose';
import { Configuration, PrivateKeyJwt, clientCredentialsGrant, modifyAssertion } from 'openid-client';

const [gateway, clientId, algorithm, kid, keyFile, scope, ...paths] = process.argv.slice(2);
const metadata = await (await fetch(`${gateway}/.well-known/smart-configuration`)).json();
const key = await importPKCS8(readFileSync(keyFile, 'utf8'), algorithm);
// Its assertion's audience is the issuer unless it is told otherwise; SMART says that it is the token endpoint.
const toTheEndpoint = (_header, claims) => {
  claims.aud = metadata.token_endpoint;
};
const assertion = PrivateKeyJwt({ key, kid }, { [modifyAssertion]: toTheEndpoint });
const configuration = new Configuration(metadata, clientId, undefined, assertion);

async function call(token, path) {
  const [method, where] = path.startsWith('POST:') ? ['POST', path.slice(5)] : ['GET', path];
  const headers = { authorization: `Bearer ${token}` };
  const response = await fetch(gateway + where, { method, headers });
  return { status: response.status, code: (await response.json()).code };
}

const said = { metadata };
try {
  const token = await clientCredentialsGrant(configuration, { scope });
  Object.assign(said, { token_type: token.token_type, expires_in: token.expires_in, granted: token.scope, answers: [] });
  for (const path of paths) said.answers.push(await call(token.access_token, path));
} catch (error) {
  said.error = error.error ?? String(error);
}
console.log(JSON.stringify(said));
