// What the official Node client sees of a peer's gateway. The environment says where the peer is and who calls:
//
//   cargo run -p fabric-embedded --example sandbox -- npm test --prefix end-to-end/node-client
//
// On a network with another chaincode the functions have to be those of the sandbox's `assets`.
import assert from 'node:assert/strict';
import { createPrivateKey, randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';

import * as grpc from '@grpc/grpc-js';
import { EndorseError, GatewayError, connect, hash, signers } from '@hyperledger/fabric-gateway';

const setting = (name) => process.env[name] ?? assert.fail(`set ${name}; see the first lines of this file`);
const text = (bytes) => Buffer.from(bytes).toString('utf8');
const json = (value) => JSON.stringify(value);
const deadline = (milliseconds) => () => ({ deadline: Date.now() + milliseconds });

let client, gateway, network, contract;

before(async () => {
  const [root, certificate, key] = await Promise.all(
    ['FABRIC_TLS_ROOT', 'FABRIC_CERTIFICATE', 'FABRIC_KEY'].map((name) => readFile(setting(name))),
  );
  client = new grpc.Client(setting('FABRIC_ENDPOINT'), grpc.credentials.createSsl(root));
  gateway = connect({
    client,
    identity: { mspId: setting('FABRIC_MSP_ID'), credentials: certificate },
    signer: signers.newPrivateKeySigner(createPrivateKey(key)),
    hash: hash.sha256,
    evaluateOptions: deadline(10_000),
    endorseOptions: deadline(20_000),
    submitOptions: deadline(10_000),
    commitStatusOptions: deadline(20_000),
  });
  network = gateway.getNetwork(setting('FABRIC_CHANNEL'));
  contract = network.getContract(setting('FABRIC_CHAINCODE'), 'Assets');
});

after(() => {
  gateway?.close();
  client?.close();
});

test('what was submitted can be evaluated', async () => {
  const key = randomUUID();
  await contract.submitTransaction('put', json(key), json('one'));
  assert.equal(text(await contract.evaluateTransaction('read', json(key))), json('one'));
});

test('each stage can be taken by itself, and commit status names the block', async () => {
  const key = randomUUID();
  const proposal = contract.newProposal('put', { arguments: [json(key), json('two')] });
  const transaction = await proposal.endorse();
  assert.equal(transaction.getTransactionId(), proposal.getTransactionId());
  const commit = await transaction.submit();
  const status = await commit.getStatus();
  assert.ok(status.successful);
  assert.equal(status.code, 0);
  assert.ok(status.blockNumber > 0n);
});

test("a chaincode's refusal arrives with the peer's own words", async () => {
  const refused = await contract.evaluateTransaction('read', json('nothing')).catch((error) => error);
  assert.ok(refused instanceof GatewayError, String(refused));
  assert.equal(refused.code, grpc.status.UNKNOWN);
  assert.equal(refused.details[0].message, 'chaincode response 404, there is no asset nothing');
  assert.equal(refused.details[0].mspId, setting('FABRIC_MSP_ID'));
  assert.equal(refused.details[0].address.split(':').at(-1), setting('FABRIC_ENDPOINT').split(':').at(-1));

  const submitted = await contract.submitTransaction('replace', json('nothing'), json('x')).catch((error) => error);
  assert.ok(submitted instanceof EndorseError, String(submitted));
  assert.equal(submitted.code, grpc.status.ABORTED);
  assert.equal(submitted.details[0].message, 'chaincode response 404, there is no asset nothing');
});

test('of two that read and write the same asset one is refused at commit', async () => {
  const key = randomUUID();
  await contract.submitTransaction('put', json(key), json('old'));
  const endorse = (value) => contract.newProposal('replace', { arguments: [json(key), json(value)] }).endorse();
  const [first, second] = await Promise.all([endorse('a'), endorse('b')]);
  assert.equal(text(first.getResult()), json('old'));
  const commits = [await first.submit(), await second.submit()];
  const [won, lost] = [await commits[0].getStatus(), await commits[1].getStatus()];
  assert.ok(won.successful);
  assert.equal(lost.successful, false);
  assert.equal(lost.code, 11, 'MVCC_READ_CONFLICT');
});

test('events come in order, and after a checkpoint go on behind it', async () => {
  const keys = [randomUUID(), randomUUID()];
  const events = await network.getChaincodeEvents(setting('FABRIC_CHAINCODE'));
  for (const key of keys) {
    await contract.submitTransaction('put', json(key), json('three'));
  }
  const seen = [];
  try {
    for await (const event of events) {
      assert.equal(event.eventName, 'AssetPut');
      seen.push(event);
      if (seen.length === keys.length) break;
    }
  } finally {
    events.close();
  }
  assert.deepEqual(seen.map((event) => text(event.payload)), keys);

  const resumed = await network.getChaincodeEvents(setting('FABRIC_CHAINCODE'), {
    checkpoint: { getBlockNumber: () => seen[0].blockNumber, getTransactionId: () => seen[0].transactionId },
  });
  try {
    for await (const event of resumed) {
      assert.equal(text(event.payload), keys[1]);
      break;
    }
  } finally {
    resumed.close();
  }
});

test('an unknown chaincode and an unknown channel are told apart', async () => {
  const nothing = network.getContract('nothing');
  const unknown = await nothing.evaluateTransaction('read').catch((error) => error);
  assert.equal(unknown.code, grpc.status.FAILED_PRECONDITION);
  const nowhere = gateway.getNetwork('nowhere').getContract(setting('FABRIC_CHAINCODE'));
  assert.equal((await nowhere.evaluateTransaction('read').catch((error) => error)).code, grpc.status.UNAVAILABLE);
});
