// Somebody with a TLS client certificate at the gateway of the own organisation.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import createClient, { type Client } from 'openapi-fetch';
import { Agent, fetch as undiciFetch } from 'undici';

import type { paths } from './build/api.js';

const setting = (name: string): string => {
  const value = process.env[name];
  if (value === undefined) throw new Error(`set ${name}: scripts/test-openapi.sh does`);
  return value;
};

interface Component {
  name: string;
  ports: number[];
}

const components = JSON.parse(setting('HEALTHCHAIN_STATUS')) as Component[];
const organisations = join(setting('HEALTHCHAIN_NETWORK_DIR'), 'organisations');

/** The member's client, made from openapi.json: paths, parameters, bodies and answers are typed. */
export const person = (organisation: string, member?: string): Client<paths> => {
  const port = components.find((component) => component.name === `gateway.${organisation}`)?.ports[0];
  if (port === undefined) throw new Error(`no gateway of ${organisation}`);
  const file = (...path: string[]) => readFileSync(join(organisations, organisation, ...path));
  const own =
    member === undefined
      ? {}
      : { cert: file('members', member, 'tls-certificate.pem'), key: file('members', member, 'tls-key.pem') };
  const dispatcher = new Agent({ connect: { ca: file('tls-root.pem'), ...own } });
  const send = async (request: Request): Promise<Response> => {
    const { method, headers } = request;
    const body = request.body === null ? null : new Uint8Array(await request.arrayBuffer());
    const answer = await undiciFetch(request.url, { method, headers: [...headers], body, dispatcher });
    return answer as unknown as Response;
  };
  return createClient<paths>({ baseUrl: `https://localhost:${port}`, fetch: send });
};
