// A patient who keeps the key, at the gateway that the environment names. What it sees it prints as one line of JSON.
import { readFile } from 'node:fs/promises';
import { request } from 'node:https';

import { Member } from './own-key.mjs';
import { visit } from './visit.mjs';

const setting = (name) => process.env[name] ?? fail(`set ${name}`);
const fail = (reason) => {
  throw new Error(reason);
};
const file = (name) => readFile(setting(name));
const [ca, cert, key, signing, encryption] = await Promise.all(
  ['TLS_ROOT', 'TLS_CERTIFICATE', 'TLS_KEY', 'SIGNING_KEY', 'ENCRYPTION_KEY'].map(file),
);

const send = ({ method, path, headers, body }) =>
  new Promise((resolve, reject) => {
    const sent = request(new URL(path, setting('GATEWAY')), { method, headers, ca, cert, key }, (response) => {
      const chunks = [];
      response.on('data', (chunk) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () =>
        resolve({ status: response.statusCode, headers: response.headers, body: new Uint8Array(Buffer.concat(chunks)) }),
      );
    });
    sent.on('error', reject);
    sent.end(body);
  });

const der = (pem) => Buffer.from(pem.toString().replaceAll(/-----[^-]+-----|\s/g, ''), 'base64');
const imported = (bytes, name, extractable, uses) =>
  crypto.subtle.importKey('pkcs8', bytes, { name, namedCurve: 'P-256' }, extractable, uses);

// Both keys may be used, and neither may be taken out again.
const publicPart = async (bytes) => {
  const { d: _private, key_ops: _uses, ...jwk } = await crypto.subtle.exportKey(
    'jwk',
    await imported(bytes, 'ECDH', true, ['deriveBits']),
  );
  return crypto.subtle.importKey('jwk', jwk, { name: 'ECDH', namedCurve: 'P-256' }, true, []);
};
const patient = new Member(send, {
  sign: await imported(der(signing), 'ECDSA', false, ['sign']),
  open: {
    privateKey: await imported(der(encryption), 'ECDH', false, ['deriveBits']),
    publicKey: await publicPart(der(encryption)),
  },
});

const [id, link, large, grantee] = ['MEMBER', 'LINK', 'LARGE_LINK', 'GRANTEE'].map(setting);
console.log(JSON.stringify(await visit(patient, { id, link, large, grantee })));
