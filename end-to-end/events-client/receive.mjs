// A receiver of webhooks that verifies each message with the npm package standardwebhooks. It says where it listens, reads its secret from
// standard input, then prints each message as a line of JSON. Of the first message it says that it cannot take it now.
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:https';
import { createInterface } from 'node:readline';

import { Webhook } from 'standardwebhooks';

const [cert, key] = await Promise.all(['TLS_CERTIFICATE', 'TLS_KEY'].map((name) => readFile(process.env[name])));
const print = (line) => console.log(JSON.stringify(line));
let refused = false;
let webhook;

const server = createServer({ cert, key }, (request, response) => {
  const chunks = [];
  request.on('data', (chunk) => chunks.push(chunk));
  request.on('end', () => {
    const body = Buffer.concat(chunks).toString();
    const answer = (status) => response.writeHead(status).end();
    try {
      const message = webhook.verify(body, request.headers);
      if (!refused) {
        refused = true;
        return answer(503);
      }
      print({ message, id: request.headers['webhook-id'] });
      answer(204);
    } catch (error) {
      print({ error: error.message });
      answer(400);
    }
  });
});
server.listen(0, '127.0.0.1', () => print({ url: `https://localhost:${server.address().port}/events` }));

createInterface({ input: process.stdin })
  .on('line', (secret) => {
    webhook = new Webhook(secret);
  })
  .on('close', () => process.exit(0));
