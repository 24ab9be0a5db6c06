// A session at a gateway, opened and used with the key of the member's certificate. Nothing here is Node's own: a page in a browser can use it
// as it is.
import { SignJWT, exportJWK } from 'jose';

import { text, toBase64Url, utf8 } from './bytes.mjs';
import { Refused } from './own-key.mjs';

async function sent(url, { method, headers, body }) {
  const response = await fetch(url, { method, headers, body });
  const answer = { status: response.status, body: new Uint8Array(await response.arrayBuffer()) };
  return { ...answer, headers: Object.fromEntries(response.headers) };
}

async function posted(url, body) {
  const answer = await sent(url, { method: 'POST', ...body });
  if (answer.status !== 201) throw new Refused(answer);
  return JSON.parse(text(answer.body));
}

// `sign` is WebCrypto's pair of keys (ECDSA, P-256); the private one need not be extractable. Gives a `send` for `Member`, whose every request
// shows the session's token and a proof of the key (DPoP, RFC 9449).
export async function openSession(gateway, certificate, sign) {
  const { nonce, origin } = await posted(`${gateway}/v1/sessions/challenges`);
  // A signature for one gateway, got by another, would open a session there.
  if (origin !== new URL(gateway).origin) throw new Error(`the challenge is that of ${origin}`);
  const time = new Date().toISOString();
  const signed = utf8(`Healthchain session v1\norigin: ${origin}\nnonce: ${nonce}\ntime: ${time}\n`);
  const made = await crypto.subtle.sign({ name: 'ECDSA', hash: 'SHA-256' }, sign.privateKey, signed);
  const signature = toBase64Url(made);
  const { token } = await posted(`${gateway}/v1/sessions`, {
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ certificate, nonce, time, signature }),
  });

  const jwk = await exportJWK(sign.publicKey);
  const ath = toBase64Url(await crypto.subtle.digest('SHA-256', utf8(token)));
  return async ({ method, path, headers, body }) => {
    const url = new URL(path, gateway);
    const proof = await new SignJWT({ htm: method, htu: url.origin + url.pathname, jti: crypto.randomUUID(), ath })
      .setProtectedHeader({ typ: 'dpop+jwt', alg: 'ES256', jwk })
      .setIssuedAt()
      .sign(sign.privateKey);
    return sent(url, { method, headers: { ...headers, authorization: `DPoP ${token}`, dpop: proof }, body });
  };
}
