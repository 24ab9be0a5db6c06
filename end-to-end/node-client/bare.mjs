// The official Node client at bare puts and gets, for the benchmarks (bench/src/bare.rs is the contract). The environment says where the peer is
// and who calls, as for client.test.mjs. A line of standard input says what to do, `put 10 5000`: ten callers at once, five seconds. The answer is a
// line of JSON.
import { createPrivateKey, randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';

import * as grpc from '@grpc/grpc-js';
import { connect, hash, signers } from '@hyperledger/fabric-gateway';

const VALUE = JSON.stringify('v'.repeat(100));

const setting = (name) => process.env[name] ?? exit(`set ${name}`);
const [root, certificate, key] = await Promise.all(
  ['FABRIC_TLS_ROOT', 'FABRIC_CERTIFICATE', 'FABRIC_KEY'].map((name) => readFile(setting(name))),
);
const client = new grpc.Client(setting('FABRIC_ENDPOINT'), grpc.credentials.createSsl(root));
const gateway = connect({
  client,
  identity: { mspId: setting('FABRIC_MSP_ID'), credentials: certificate },
  signer: signers.newPrivateKeySigner(createPrivateKey(key)),
  hash: hash.sha256,
});
const contract = gateway.getNetwork(setting('FABRIC_CHANNEL')).getContract(setting('FABRIC_CHAINCODE'), 'Bare');

const known = JSON.stringify(randomUUID());
await untilItAnswers(() => contract.submitTransaction('put', known, VALUE));

const acts = {
  put: () => contract.submitTransaction('put', JSON.stringify(randomUUID()), VALUE),
  get: () => contract.evaluateTransaction('get', known),
};

console.log('ready');
for await (const line of createInterface({ input: process.stdin })) {
  const [act, callers, milliseconds] = line.split(' ');
  console.log(JSON.stringify(await measure(acts[act], Number(callers), Number(milliseconds))));
}
gateway.close();
client.close();

async function measure(act, callers, milliseconds) {
  const times = [];
  let failed = 0;
  const before = process.cpuUsage();
  const begun = performance.now();
  const work = async () => {
    while (performance.now() - begun < milliseconds) {
      const called = performance.now();
      try {
        await act();
        times.push(performance.now() - called);
      } catch {
        failed += 1;
      }
    }
  };
  await Promise.all(Array.from({ length: callers }, work));
  const took = performance.now() - begun;
  const { user, system } = process.cpuUsage(before);
  return { times, failed, took, cpu: (user + system) / 1000 };
}

// The peer dials the chaincode's new process with one of its next calls.
async function untilItAnswers(act) {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await act();
    } catch (error) {
      if (attempt === 100) exit(`the bare contract does not answer: ${error}`);
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
}

function exit(reason) {
  console.error(reason);
  process.exit(1);
}
