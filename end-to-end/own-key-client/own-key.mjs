// A member who keeps the key. Nothing here is Node's own: a page in a browser can use it as it is.
//
// `send({ method, path, headers, body })` reaches the gateway and gives `{ status, headers, body }` (headers by lower-case name, body a
// Uint8Array). `keys` are WebCrypto's: `sign` (ECDSA, P-256) and, for opening, the pair `open` (ECDH, P-256). They need not be extractable.
import { Aes256Gcm, CipherSuite, DhkemP256HkdfSha256, HkdfSha256 } from '@hpke/core';

import { fromBase64, hex, text, toBase64Url, utf8 } from './bytes.mjs';
import { commitment, openContent } from './record.mjs';

export class Refused extends Error {
  constructor(answer) {
    const problem = JSON.parse(text(answer.body));
    super(`${answer.status} ${problem.code}: ${problem.detail}`);
    this.status = answer.status;
    this.code = problem.code;
  }
}

export class Member {
  constructor(send, keys) {
    this.send = send;
    this.keys = keys;
  }

  // Sends a request and signs what is answered, as often as it takes, as long as it is a call of this function with this argument.
  async call(method, path, { body, headers = {}, calls, argument }) {
    const json = body === undefined ? {} : { 'content-type': 'application/json' };
    let answer = await this.send({
      method,
      path,
      headers: { ...json, ...headers, 'healthchain-signing': 'detached' },
      body: body instanceof Uint8Array || body === undefined ? body : utf8(JSON.stringify(body)),
    });
    while (answer.status === 202) {
      const awaited = JSON.parse(text(answer.body));
      const bytes = fromBase64(awaited.bytes);
      mustCall(invocation(awaited.signs, bytes), calls, argument);
      const signature = await crypto.subtle.sign({ name: 'ECDSA', hash: 'SHA-256' }, this.keys.sign, bytes);
      answer = await this.send({
        method: 'POST',
        path: awaited.signature_to,
        headers: { 'content-type': 'application/json' },
        body: utf8(JSON.stringify({ signature: toBase64Url(signature) })),
      });
    }
    if (answer.status >= 400) throw new Refused(answer);
    return answer;
  }

  async json(method, path, options) {
    return JSON.parse(text((await this.call(method, path, options)).body));
  }

  // Opens a link: signs the opening, opens the envelope and the content, and believes neither gateway about what they are.
  async open(link, purpose) {
    const { opening, key, content } = await this.receive(link, purpose);
    const { hash, media_type: mediaType } = opening.decision.content;
    if (hex(await crypto.subtle.digest('SHA-256', content)) !== hash) {
      throw new Error('the content is not what was published');
    }
    const record = await openContent(content, key, { link, version: opening.version, mediaType });
    if ((await commitment(key, record)) !== opening.decision.commitment) {
      throw new Error('the record is not what was published');
    }
    return record;
  }

  // An opening, the key from its envelope, and the encrypted content, as they came.
  async receive(link, purpose) {
    const { opening, envelope, content } = await this.json('POST', `/v1/links/${link}/openings`, {
      body: { purpose },
      calls: 'Links:open',
      argument: (given) => given.link === link && given.purpose === purpose,
    });
    const { key } = await this.unseal(opening, envelope);
    const fetched = await this.send({ method: 'GET', path: content, headers: {} });
    if (fetched.status !== 200) throw new Refused(fetched);
    return { opening, key: fromBase64(key), content: fetched.body };
  }

  async unseal(opening, envelope) {
    const suite = new CipherSuite({
      kem: new DhkemP256HkdfSha256(),
      kdf: new HkdfSha256(),
      aead: new Aes256Gcm(),
    });
    const sealed = fromBase64(envelope.sealed);
    const recipient = await suite.createRecipientContext({
      recipientKey: this.keys.open,
      enc: sealed.slice(0, 65),
      info: utf8('healthchain envelope v1'),
    });
    const context = [opening.link, String(opening.version), opening.decision.category, envelope.recipient_key_hash];
    return JSON.parse(text(await recipient.open(sealed.slice(65), lengthPrefixed(context))));
  }
}

// Each field behind its length, 32 bits, big endian.
function lengthPrefixed(fields) {
  const parts = fields.map(utf8);
  const bytes = new Uint8Array(parts.reduce((length, part) => length + 4 + part.length, 0));
  let at = 0;
  for (const part of parts) {
    new DataView(bytes.buffer).setUint32(at, part.length);
    bytes.set(part, at + 4);
    at += 4 + part.length;
  }
  return bytes;
}

// What bytes ask of the chaincode: the function and its arguments. A proposal is Fabric's `protos.Proposal`, a transaction its
// `common.Payload`; the numbers are those of the fields on the way.
export function invocation(signs, bytes) {
  const ways = { proposal: [2], transaction: [2, 1, 2, 1] };
  const input = [...ways[signs], 1, 1, 3].reduce((message, number) => fields(message, number)[0], bytes);
  return fields(input, 1).map(text);
}

function mustCall([name, ...given], calls, argument) {
  const expected = name === calls && given.every((json) => argument === undefined || argument(JSON.parse(json)));
  if (!expected) throw new Error(`asked to sign something else: ${name}(${given})`);
}

// The length-delimited fields of this number in a protocol buffer.
function fields(message, number) {
  if (message === undefined) throw new Error('the bytes are no call of a chaincode');
  const found = [];
  let at = 0;
  const varint = () => {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      const byte = message[at++];
      if (byte === undefined) throw new Error('the bytes are cut off');
      value += (byte & 127) * factor;
      if (byte < 128) return value;
    }
  };
  while (at < message.length) {
    const tag = varint();
    const kind = tag % 8;
    if (kind === 0) varint();
    else if (kind === 2) {
      const length = varint();
      if (Math.floor(tag / 8) === number) found.push(message.subarray(at, at + length));
      at += length;
    } else throw new Error('the bytes are no message of Fabric');
  }
  return found;
}
