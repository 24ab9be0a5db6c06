// A client made from openapi.json registers, publishes, shares and lists, as any program of another language would.
import assert from 'node:assert/strict';
import { createHash, generateKeyPairSync, randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { person } from './person.js';

const PATIENT = 'patient-1';
const RECORD = new TextEncoder().encode('{"resourceType":"Bundle","type":"collection"}');

const administrator = person('hospital', 'hospital-administrator');
const clinician = person('hospital', 'hospital-clinician');
const patient = person('patients', PATIENT);
const payer = person('payer', 'payer-officer');
const stranger = person('payer');

/** Each organisation has a peer of its own, which may be a block behind the others. */
const until = async <T>(what: string, look: () => Promise<T | undefined>): Promise<T> => {
  for (let turn = 0; turn < 50; turn += 1) {
    const seen = await look();
    if (seen !== undefined) return seen;
    await sleep(100);
  }
  throw new Error(`${what} did not come`);
};

const publish = async (key: string) => {
  const answer = await clinician.POST('/v1/links', {
    params: { query: { patient: PATIENT, category: 'summary' }, header: { 'Idempotency-Key': key } },
    headers: { 'Content-Type': 'application/fhir+json' },
    body: RECORD as never,
    bodySerializer: (bytes: unknown) => bytes as Uint8Array<ArrayBuffer>,
  });
  assert.ok(answer.data, JSON.stringify(answer.error));
  return { link: answer.data, status: answer.response.status };
};

const newMember = () => {
  const key = () => generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ type: 'spki', format: 'der' });
  return {
    id: `clerk-${randomUUID()}`,
    role: 'clinician' as const,
    key_hash: createHash('sha256').update(key()).digest('hex'),
    encryption_key: key().toString('base64'),
  };
};

test('an administrator registers a member, who is found where the Location says', async () => {
  const member = newMember();
  const { data, response, error } = await administrator.POST('/v1/members', { body: member });
  assert.equal(response.status, 201, JSON.stringify(error));
  assert.equal(data?.id, member.id);
  assert.equal(response.headers.get('location'), `/v1/members/${member.id}`);
  const found = await administrator.GET('/v1/members/{member}', { params: { path: { member: member.id } } });
  assert.equal(found.data?.role, 'clinician');
});

test('who may not register is told so in a problem', async () => {
  const { error, response } = await payer.POST('/v1/members', { body: newMember() });
  assert.equal(response.status, 403);
  assert.equal(error?.code, 'not-permitted');
});

test('the same key publishes the same record once', async () => {
  const key = randomUUID();
  const first = await publish(key);
  const second = await publish(key);
  assert.deepEqual([first.status, second.status], [201, 200]);
  assert.equal(first.link.id, second.link.id);
});

test('a patient shares by a consent whose id the gateway makes, and the payer lists page after page', async () => {
  await publish(randomUUID());
  await publish(randomUUID());
  const grant = (key: string) =>
    patient.POST('/v1/consents', {
      params: { header: { 'Idempotency-Key': key } },
      body: {
        patient: PATIENT,
        grantee: { organisation: 'PayerMSP' },
        scope: { categories: ['summary'] },
        purposes: ['payment'],
        effect: 'permit',
      },
    });
  const key = randomUUID();
  const granted = await grant(key);
  assert.equal(granted.response.status, 201, JSON.stringify(granted.error));
  const repeated = await grant(key);
  assert.equal(repeated.data?.id, granted.data?.id);

  const seen = new Set<string>();
  const list = (page_token?: string) =>
    payer.GET('/v1/patients/{patient}/links', {
      params: { path: { patient: PATIENT }, query: { purpose: 'payment', limit: 1, ...(page_token ? { page_token } : {}) } },
    });
  let page = await until('the consent', async () => {
    const first = await list();
    return (first.data?.items.length ?? 0) > 0 ? first : undefined;
  });
  for (;;) {
    assert.ok(page.data);
    page.data.items.forEach((item) => seen.add(item.link));
    const token = page.data.next_page_token;
    const next = page.response.headers.get('link');
    assert.equal(next !== null, token != null, 'the Link header and the body say the same');
    if (token == null) break;
    assert.match(next ?? '', /^<\/v1\/patients\/patient-1\/links\?.*page_token=.*>; rel="next"$/);
    page = await list(token);
  }
  assert.ok(seen.size >= 2, `${seen.size} links`);

  const link = [...seen][0] ?? '';
  const opened = await payer.POST('/v1/links/{link}/openings', {
    params: { path: { link } },
    body: { purpose: 'payment' },
    parseAs: 'arrayBuffer',
  });
  assert.equal(opened.response.status, 200);
  assert.deepEqual(new Uint8Array(opened.data as ArrayBuffer), RECORD);
});

test('what has not changed is not sent again, and a write on another state is not done', async () => {
  const { link } = await publish(randomUUID());
  const path = { link: link.id };
  const first = await clinician.GET('/v1/links/{link}', { params: { path } });
  const tag = first.response.headers.get('etag') ?? '';
  const again = await clinician.GET('/v1/links/{link}', { params: { path, header: { 'If-None-Match': tag } } });
  assert.equal(again.response.status, 304);

  const withdraw = (expected: string) =>
    clinician.POST('/v1/links/{link}/withdrawal', {
      params: { path, header: { 'If-Match': expected } },
      body: { reason: 'published twice' },
    });
  const refused = await withdraw('"another"');
  assert.deepEqual([refused.response.status, refused.error?.code], [412, 'precondition-failed']);
  const done = await withdraw(tag);
  assert.equal(done.response.status, 200, JSON.stringify(done.error));
});

test('whoever has no certificate verifies a notarization, and is asked for one elsewhere', async () => {
  const hash = 'ab'.repeat(32);
  const verified = await stranger.GET('/v1/verifications', { params: { query: { hash } } });
  assert.deepEqual(verified.data?.items, []);
  const refused = await stranger.GET('/v1/me');
  assert.deepEqual([refused.response.status, refused.error?.code], [401, 'client-certificate-missing']);
});
