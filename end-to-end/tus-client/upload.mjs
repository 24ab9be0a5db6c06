// Uploads a file over a bad line, with the tus project's own client. What came of it is printed as one line of JSON.
//
// CUTS are the lengths (JSON) at which the connection is cut, each once; with STOP_AT the program gives up there, and UPLOAD is what a
// later run goes on with.
import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { Agent } from 'node:https';

import { DefaultHttpStack, Upload } from 'tus-js-client';

const setting = (name) => process.env[name] ?? fail(`set ${name}`);
const fail = (reason) => {
  throw new Error(reason);
};
const file = (name) => readFile(setting(name));
const [ca, cert, key] = await Promise.all(['TLS_ROOT', 'TLS_CERTIFICATE', 'TLS_KEY'].map(file));
const agent = new Agent({ ca, cert, key, keepAlive: true });
const cuts = JSON.parse(process.env.CUTS ?? '[]');
const stopAt = Number(process.env.STOP_AT ?? Infinity);
const told = { cuts: 0, offsets: [] };

const cut = () => {
  told.cuts += 1;
  Object.values(agent.sockets).flat().forEach((socket) => socket.destroy());
};

const url = await new Promise((resolve, reject) => {
  const upload = new Upload(createReadStream(setting('FILE')), {
    endpoint: `${setting('GATEWAY')}/v1/uploads`,
    uploadUrl: process.env.UPLOAD,
    chunkSize: 3_000_000,
    retryDelays: [100, 200, 400, 800, 1600],
    metadata: { filename: 'scan.dcm', filetype: 'application/dicom' },
    httpStack: new DefaultHttpStack({ agent }),
    onAfterResponse: (request, response) => {
      if (request.getMethod() === 'HEAD') told.offsets.push(Number(response.getHeader('Upload-Offset')));
    },
    onProgress: (sent) => {
      if (sent >= cuts[0]) {
        cuts.shift();
        cut();
      }
    },
    onChunkComplete: (_size, accepted) => {
      if (accepted >= stopAt) upload.abort().then(() => resolve(upload.url), reject);
    },
    onSuccess: () => resolve(upload.url),
    onError: reject,
  });
  upload.start();
});
agent.destroy();
console.log(JSON.stringify({ ...told, url }));
