// A page that makes a patient's keys in the browser, where they stay: nothing, this page neither, can take them out.
import { Member } from './own-key.mjs';
import { openSession } from './session.mjs';
import { visit } from './visit.mjs';

const base64 = (bytes) => btoa(String.fromCharCode(...new Uint8Array(bytes)));
const make = (name, uses) => crypto.subtle.generateKey({ name, namedCurve: 'P-256' }, false, uses);
const keys = { sign: await make('ECDSA', ['sign']), open: await make('ECDH', ['deriveBits']) };

globalThis.patient = {
  // The public keys (SubjectPublicKeyInfo, base64), and what becomes of who wants the private ones.
  async keys() {
    const told = {};
    for (const [name, { privateKey, publicKey }] of Object.entries(keys)) {
      const taken = ['pkcs8', 'jwk'].map((format) => crypto.subtle.exportKey(format, privateKey));
      const outcomes = await Promise.allSettled(taken);
      told[name] = base64(await crypto.subtle.exportKey('spki', publicKey));
      told[`${name}_taken_out`] = outcomes.map((outcome) => outcome.reason?.name ?? 'taken out');
    }
    return told;
  },

  async visit({ gateway, certificate, ...what }) {
    const send = await openSession(gateway, certificate, keys.sign);
    return visit(new Member(send, { sign: keys.sign.privateKey, open: keys.open }), what);
  },
};
