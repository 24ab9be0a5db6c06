// A script with a member's signing key: node session.mjs GATEWAY CERTIFICATE KEY
// Opens a session, asks who it is to the ledger, closes the session, and prints what was answered.
import { createHash, createPrivateKey, randomUUID, webcrypto } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { SignJWT, exportJWK } from 'jose';

const [gateway, certificateFile, keyFile] = process.argv.slice(2);
const certificate = readFileSync(certificateFile, 'utf8');
const privateKey = createPrivateKey(readFileSync(keyFile));
const { d, ...jwk } = await exportJWK(privateKey);

async function signed(text) {
  const pkcs8 = privateKey.export({ format: 'der', type: 'pkcs8' });
  const key = await webcrypto.subtle.importKey('pkcs8', pkcs8, { name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign']);
  const bytes = new TextEncoder().encode(text);
  return Buffer.from(await webcrypto.subtle.sign({ name: 'ECDSA', hash: 'SHA-256' }, key, bytes)).toString('base64');
}

async function open() {
  const { nonce, origin } = await (await fetch(`${gateway}/v1/sessions/challenges`, { method: 'POST' })).json();
  const time = new Date().toISOString();
  const signature = await signed(`Healthchain session v1\norigin: ${origin}\nnonce: ${nonce}\ntime: ${time}\n`);
  const body = JSON.stringify({ certificate, nonce, time, signature });
  const headers = { 'content-type': 'application/json' };
  return (await fetch(`${gateway}/v1/sessions`, { method: 'POST', headers, body })).json();
}

async function call(token, method, path) {
  const ath = createHash('sha256').update(token).digest('base64url');
  const proof = await new SignJWT({ htm: method, htu: gateway + path, jti: randomUUID(), ath })
    .setProtectedHeader({ typ: 'dpop+jwt', alg: 'ES256', jwk })
    .setIssuedAt()
    .sign(privateKey);
  return fetch(gateway + path, { method, headers: { authorization: `DPoP ${token}`, dpop: proof } });
}

const session = await open();
const answer = await call(session.token, 'GET', '/v1/links/unknown');
const closed = await call(session.token, 'DELETE', '/v1/sessions/current');
const after = await call(session.token, 'GET', '/v1/links/unknown');
console.log(JSON.stringify({
  member: session.member,
  answered: (await answer.json()).code,
  closed: closed.status,
  after: (await after.json()).code,
}));
