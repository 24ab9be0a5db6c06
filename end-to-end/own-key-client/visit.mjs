// What a patient who keeps the key does at a gateway: reads what may be opened, grants a consent, opens a record; and tries what must fail.
import { hex } from './bytes.mjs';
import { openContent } from './record.mjs';

export async function visit(patient, { id, link, large, grantee }) {
  const listed = await patient.json('GET', `/v1/patients/${id}/links?purpose=personal`, {
    calls: 'Links:permitted',
    argument: (given) => given.patient === id,
  });
  const consent = {
    patient: id,
    grantee: { organisation: grantee },
    scope: { categories: ['encounter-note'] },
    purposes: ['payment'],
    effect: 'permit',
  };
  const granted = await patient.json('POST', '/v1/consents', {
    body: consent,
    headers: { 'idempotency-key': `consent-${link}` },
    calls: 'Consents:grant',
    argument: (given) => given.patient === id && JSON.stringify(given.grantee) === JSON.stringify(consent.grantee),
  });
  const [record, large_record] = [await patient.open(link, 'personal'), await patient.open(large, 'personal')];
  const refused = await patient
    .json('POST', `/v1/links/${link}/withdrawal`, { body: { reason: 'mine' }, calls: 'Links:withdraw' })
    .then(() => 'nothing', (error) => error.code ?? String(error));
  const misled = await patient
    .json('GET', `/v1/patients/${id}/consents`, { calls: 'Consents:revoke' })
    .then(() => 'nothing', (error) => error.message);
  return {
    links: listed.items.map((item) => item.link),
    consent: granted.id ?? granted.consent,
    record: await hash(record),
    large_record: await hash(large_record),
    tampered: await tampered(await patient.receive(large, 'personal')),
    refused,
    misled,
  };
}

const hash = async (bytes) => hex(await crypto.subtle.digest('SHA-256', bytes));

// What becomes of parts that are not as they were sent.
async function tampered({ opening, key, content }) {
  const lines = new TextDecoder().decode(content).split('\n');
  const [first, second, last] = lines;
  const of = { link: opening.link, version: opening.version, mediaType: opening.decision.content.media_type };
  const open = (lines, changed = {}) =>
    openContent(new TextEncoder().encode(lines.join('\n')), key, { ...of, ...changed }).then(
      () => 'opened',
      () => 'refused',
    );
  return {
    parts: lines.length - 1,
    untouched: await open(lines),
    moved: await open([second, first, last, '']),
    dropped: await open([first, last, '']),
    cut_off: await open([first, second, '']),
    repeated: await open([first, second, second, last, '']),
    continued: await open([first, second, last, last, '']),
    of_another_link: await open(lines, { link: 'another' }),
    of_another_version: await open(lines, { version: opening.version + 1 }),
    of_another_kind: await open(lines, { mediaType: 'text/html' }),
    one_alone: await open([last]),
  };
}
