// A record's content, opened with a JOSE library as docs/record-format.md says: one JWE, or one part of the record on each line.
import { compactDecrypt } from 'jose';

import { hex, text, toBase64Url, utf8 } from './bytes.mjs';

const PART = 1_048_576;

// The record in a content, of this link, version and media type.
export async function openContent(content, key, { link, version, mediaType }) {
  const lines = text(content).split('\n');
  if (lines.length === 1) return (await compactDecrypt(lines[0], key)).plaintext;
  if (lines.pop() !== '') throw new Error('the content is cut off');
  const of = toBase64Url(await hmac(await hmac(key, utf8('healthchain parts v1')), utf8(`${link}/${version}`)));
  const parts = [];
  for (const [index, line] of lines.entries()) {
    const [number, last] = [index.toString(16).padStart(8, '0'), index === lines.length - 1];
    const header =
      `{"alg":"dir","enc":"A256GCM","cty":${JSON.stringify(mediaType)},"crit":["healthchain-part"],` +
      `"healthchain-part":{"of":"${of}","number":"${number}","last":${last}}}`;
    if (line.split('.')[0] !== toBase64Url(utf8(header))) throw new Error(`part ${index} is another`);
    const { plaintext } = await compactDecrypt(line, key, { crit: { 'healthchain-part': true } });
    const fits = last ? plaintext.length > 0 && plaintext.length <= PART : plaintext.length === PART;
    if (!fits) throw new Error(`part ${index} has another length`);
    parts.push(plaintext);
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

// What the ledger holds of a record beside its content's hash.
export async function commitment(key, record) {
  return hex(await hmac(await hmac(key, utf8('healthchain commitment v1')), record));
}

async function hmac(key, message) {
  const imported = await crypto.subtle.importKey('raw', key, { name: 'HMAC', hash: 'SHA-256' }, false, ['sign']);
  return crypto.subtle.sign('HMAC', imported, message);
}
