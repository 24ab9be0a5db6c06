// A member who follows what happens, with the npm package eventsource: prints each event as a line of JSON. A stream that breaks is taken
// up again by that package, which tells the gateway the last event that it saw.
import { readFile } from 'node:fs/promises';

import { EventSource } from 'eventsource';
import { Agent, fetch } from 'undici';

const setting = (name) => process.env[name] ?? fail(`set ${name}`);
const fail = (reason) => {
  throw new Error(reason);
};
const [ca, cert, key] = await Promise.all(
  ['TLS_ROOT', 'TLS_CERTIFICATE', 'TLS_KEY'].map((name) => readFile(setting(name))),
);
const dispatcher = new Agent({ connect: { ca, cert, key } });
const source = new EventSource(new URL('/v1/events', setting('GATEWAY')), {
  fetch: (url, init) => fetch(url, { ...init, dispatcher }),
});
const print = (line) => console.log(JSON.stringify(line));

// The place from which this follower goes on, whatever happens now.
source.addEventListener('place', ({ lastEventId }) => print({ place: lastEventId }));
source.addEventListener('message', ({ data }) => print({ told: JSON.parse(data) }));
source.addEventListener('error', ({ code, message }) => {
  print({ error: message ?? 'the stream broke', code });
  // Refused: this package does not come again.
  if (source.readyState === EventSource.CLOSED) process.exit(1);
});
