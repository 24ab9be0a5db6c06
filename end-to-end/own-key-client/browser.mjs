// A patient in a browser (Chromium), on a page of an origin of its own: PORTAL, which the gateway's configuration names. Prints the public keys
// that the page made as a line of JSON, reads one with what it is to do, and prints what it saw.
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname } from 'node:path';
import { createInterface } from 'node:readline';
import { connect } from 'node:tls';
import { chromium } from 'playwright-core';

const setting = (name) => process.env[name] ?? fail(`set ${name}`);
const fail = (reason) => {
  throw new Error(reason);
};
const say = (value) => console.log(JSON.stringify(value));
const [gateway, portal] = ['GATEWAY', 'PORTAL'].map((name) => new URL(setting(name)));

// This folder, for whoever asks.
const types = { '.html': 'text/html', '.js': 'text/javascript', '.mjs': 'text/javascript' };
const server = createServer(async (request, response) => {
  const file = new URL(`.${new URL(request.url, portal).pathname}`, import.meta.url);
  try {
    const content = await readFile(file);
    response.writeHead(200, { 'content-type': types[extname(file.pathname)] ?? 'text/plain' }).end(content);
  } catch {
    response.writeHead(404).end();
  }
});
await new Promise((resolve) => server.listen(portal.port, '127.0.0.1', resolve));

// The browser takes this gateway's certificate, by its key, because the organisation's authority vouches for it; and no other.
const ca = await readFile(setting('TLS_ROOT'));
const gatewayKey = await new Promise((resolve, reject) => {
  const { hostname: host, port } = gateway;
  const socket = connect({ host, port, servername: host, ca }, () => {
    resolve(socket.getPeerX509Certificate().publicKey.export({ type: 'spki', format: 'der' }));
    socket.end();
  });
  socket.on('error', reject);
});
const pin = createHash('sha256').update(gatewayKey).digest('base64');
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: [`--ignore-certificate-errors-spki-list=${pin}`],
});

async function opened(origin) {
  const page = await browser.newPage();
  page.on('pageerror', (error) => console.error(error));
  await page.goto(new URL('page.html', origin).href);
  await page.waitForFunction(() => globalThis.patient !== undefined);
  return page;
}

try {
  const page = await opened(portal);
  say(await page.evaluate(() => patient.keys()));
  for await (const line of createInterface({ input: process.stdin })) {
    const what = { gateway: gateway.origin, ...JSON.parse(line) };
    const seen = await page.evaluate((what) => patient.visit(what), what);
    // The same page, with keys of its own, at an origin that the gateway was not told of.
    const strangers = await opened(`http://127.0.0.1:${portal.port}`);
    const asked = strangers.evaluate((what) => patient.visit(what), what);
    seen.elsewhere = await asked.then(() => 'nothing', (error) => error.message);
    say(seen);
    break;
  }
} finally {
  await browser.close();
  server.close();
}
