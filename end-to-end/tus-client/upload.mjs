// Uploads a file over a bad line, with the tus project's own client. What came of it is printed as one line of JSON.
//
// CUTS are the lengths (JSON) after which the connection is cut, counted over all that is sent. With STOP_AT the program gives up there,
// and UPLOAD is what a later run goes on with.
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

// The line breaks in the middle of what is written.
const connect = agent.createConnection.bind(agent);
let sent = 0;
agent.createConnection = (...given) => {
  const socket = connect(...given);
  const write = socket.write.bind(socket);
  socket.write = (chunk, ...rest) => {
    sent += chunk.length;
    if (!(sent >= cuts[0])) return write(chunk, ...rest);
    cuts.shift();
    told.cuts += 1;
    socket.destroy();
    return false;
  };
  return socket;
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
